#include "app/doctor_process.h"

#include <stdio.h>

#include "base/num.h"
#include "sys/machine.h"
#include "sys/process.h"

enum toc_patient_process toc_doctor_process(const struct toc_run_info *info, int64_t last_ms,
                                            char *text, size_t size) {
    struct toc_uname here;
    int64_t pid = 0, started_ms = 0;
    struct toc_sv host = toc_labels_get(info->labels, TOC_SV("host"));
    text[0] = 0;
    if (!host.n || toc_uname(&here) || !toc_sv_eq_cstr(host, here.nodename) ||
        toc_parse_i64(toc_labels_get(info->labels, TOC_SV("pid")), &pid) || pid <= 0)
        return TOC_PROCESS_UNKNOWN;
    /* The kernel gives numbers out again: a process that started after the last report is another
     * one. */
    bool is_there = toc_process_started_ms(pid, &started_ms) == 0 && started_ms <= last_ms;
    snprintf(text, size, is_there ? "its process %lld exists" : "its process %lld no longer exists",
             (long long)pid);
    return is_there ? TOC_PROCESS_ALIVE : TOC_PROCESS_GONE;
}
