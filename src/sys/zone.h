/* Time zones from the system's zone files. */
#ifndef TOC_SYS_ZONE_H
#define TOC_SYS_ZONE_H

#include <stdbool.h>

#include "base/sv.h"
#include "base/time.h"

/* Minutes east of UTC in `location` ("Europe/Berlin", "Local") at `at`; false when the zone is
 * unknown. Any thread. */
bool toc_zone_offset(void *unused, struct toc_sv location, struct toc_ts at, int *out_minutes);

#endif
