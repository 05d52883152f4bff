#include "model/sink.h"

const char *toc_reject_text(enum toc_reject_reason reason) {
    static const char *const texts[] = {
#define X(name, text) text,
        TOC_REJECT_TABLE(X)
#undef X
    };
    return (size_t)reason < TOC_REJECT_REASON_COUNT ? texts[reason] : "unknown";
}
