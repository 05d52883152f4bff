/* Process surroundings: environment variables, own identity, terminal. */
#ifndef TOC_SYS_ENV_H
#define TOC_SYS_ENV_H

#include <stdbool.h>
#include <stdint.h>

/* Borrowed; NULL when unset. */
const char *toc_env_get(const char *name);
/* For this process and those it starts. Before threads exist. */
void toc_env_set(const char *name, const char *value);
int64_t toc_process_id(void);
/* Resident set size of this process, 0 when unknown. */
uint64_t toc_process_rss_bytes(void);
bool toc_fd_is_terminal(int fd);
int toc_cpu_count(void);
/* Threads of this process now; 0 when unknown. */
int toc_process_thread_count(void);
/* Where relative paths start; "" when unknown or too long. */
void toc_working_directory(char *out, unsigned long out_size);
/* Host name into out, NUL-terminated ("localhost" when unknown). */
void toc_hostname(char *out, unsigned long out_size);

#endif
