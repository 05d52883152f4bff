/* Does the process that wrote a run's reports still exist? Known only on its own machine, from the
 * labels `host` and `pid` of the run. */
#ifndef TOC_APP_DOCTOR_PROCESS_H
#define TOC_APP_DOCTOR_PROCESS_H

#include "app/doctor_patient.h"

/* text: what was seen, for people; "" when unknown. */
enum toc_patient_process toc_doctor_process(const struct toc_run_info *info, int64_t last_ms,
                                            char *text, size_t size);

#endif
