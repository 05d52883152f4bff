#include "model/finding.h"

static const struct toc_kind_info kinds[] = {
#define X(e, name, class_, severity, hard, rank, title) \
    {name, TOC_CLASS_##class_, TOC_SEVERITY_##severity, hard, rank, title},
    TOC_KIND_TABLE(X)
#undef X
};

const struct toc_kind_info *toc_kind_info(enum toc_kind kind) {
    return (unsigned)kind < TOC_KIND_COUNT ? &kinds[kind] : &kinds[TOC_KIND_THRESHOLD];
}

enum toc_kind toc_kind_parse(struct toc_sv name) {
    for (int i = 0; i < TOC_KIND_COUNT; i++)
        if (toc_sv_eq_cstr(name, kinds[i].name))
            return (enum toc_kind)i;
    return TOC_KIND_COUNT;
}

const char *toc_severity_text(enum toc_severity s) {
    static const char *const texts[] = {"info", "warning", "critical"};
    return (unsigned)s < 3 ? texts[s] : "warning";
}

enum toc_severity toc_severity_parse(struct toc_sv s) {
    if (toc_sv_eq_cstr(s, "critical") || toc_sv_eq_cstr(s, "page") || toc_sv_eq_cstr(s, "error"))
        return TOC_SEVERITY_CRITICAL;
    if (toc_sv_eq_cstr(s, "info") || toc_sv_eq_cstr(s, "none"))
        return TOC_SEVERITY_INFO;
    return TOC_SEVERITY_WARNING;
}
