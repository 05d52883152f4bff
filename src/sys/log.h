/* The program's own log: one line per event on stderr, logfmt (`time=… level=… msg="…" key=value`).
 */
#ifndef TOC_SYS_LOG_H
#define TOC_SYS_LOG_H

#include "base/attrs.h"

enum toc_log_level { TOC_LOG_DEBUG, TOC_LOG_INFO, TOC_LOG_WARN, TOC_LOG_ERROR };

/* Lines below this level are not written; default TOC_LOG_INFO. Any thread. */
void toc_log_set_level(enum toc_log_level level);
void toc_log(enum toc_log_level level, const char *component, const char *fmt, ...)
    TOC_PRINTF(3, 4);

#endif
