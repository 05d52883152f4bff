#include <re2/re2.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <new>
#include <string>

extern "C" {
#include "shim/regex.h"
}

/* A late expression is compiled by whoever needs it first; of several the first to be done counts. */
struct toc_regex {
    std::string pattern; /* of a late one */
    bool anchored;
    mutable std::atomic<const RE2 *> made{nullptr};

    toc_regex(std::string text, bool is_anchored) : pattern(std::move(text)), anchored(is_anchored) {}
    toc_regex(const toc_regex &) = delete;
    toc_regex &operator=(const toc_regex &) = delete;
    ~toc_regex() { delete made.load(std::memory_order_relaxed); }

    static RE2 *compile(re2::StringPiece text, bool is_anchored) {
        RE2::Options options;
        options.set_log_errors(false);
        options.set_max_mem(8 << 20);
        options.set_dot_nl(is_anchored);
        return new (std::nothrow) RE2(text, options);
    }

    /* Acquire pairs with the release below. Without memory the process ends, as elsewhere: a rule
     * that hides secrets must not find nothing. */
    const RE2 *get() const {
        const RE2 *known = made.load(std::memory_order_acquire);
        if (known)
            return known;
        const RE2 *mine = compile(pattern, anchored);
        if (!mine)
            std::terminate();
        if (!made.compare_exchange_strong(known, mine, std::memory_order_acq_rel,
                                                  std::memory_order_acquire)) {
            delete mine;
            return known;
        }
        return mine;
    }
};

static re2::StringPiece piece(struct toc_sv s) { return re2::StringPiece(s.p ? s.p : "", s.n); }

extern "C" int toc_regex_check(const struct toc_regex *regex, struct toc_err *err) {
    const RE2 *re = regex->get();
    if (re->ok())
        return 0;
    const std::string &pattern = re->pattern();
    return toc_errf(err, TOC_EPARSE, "bad regular expression \"%.*s\": %s",
                    (int)std::min<size_t>(pattern.size(), 200), pattern.data(),
                    re->error().c_str());
}

/* Nobody else knows it yet. */
static int compile_now(struct toc_regex *regex, struct toc_sv pattern, struct toc_err *err) {
    const RE2 *re = toc_regex::compile(piece(pattern), regex->anchored);
    regex->made.store(re, std::memory_order_relaxed);
    return re ? toc_regex_check(regex, err) : TOC_ENOMEM;
}

extern "C" int toc_regex_new(struct toc_sv pattern, unsigned flags, struct toc_regex **out,
                             struct toc_err *err) {
    bool is_late = flags & TOC_REGEX_LATE;
    re2::StringPiece kept = is_late ? piece(pattern) : re2::StringPiece();
    auto *made = new (std::nothrow)
        toc_regex(std::string(kept.data() ? kept.data() : "", kept.size()), flags & TOC_REGEX_ANCHORED);
    int rc = !made ? TOC_ENOMEM : is_late ? 0 : compile_now(made, pattern, err);
    if (rc)
        delete made;
    else
        *out = made;
    return rc;
}

extern "C" void toc_regex_free(struct toc_regex **re) {
    if (!re)
        return;
    delete *re;
    *re = nullptr;
}

static bool match(const struct toc_regex *re, struct toc_sv text, size_t from,
                  re2::StringPiece *groups, int n) {
    return re->get()->Match(piece(text), from, text.n,
                            re->anchored ? RE2::ANCHOR_BOTH : RE2::UNANCHORED, groups, n);
}

extern "C" bool toc_regex_matches(const struct toc_regex *re, struct toc_sv text) {
    return match(re, text, 0, nullptr, 0);
}

extern "C" int toc_regex_capture(const struct toc_regex *re, struct toc_sv text,
                                 struct toc_sv *groups, int max) {
    return toc_regex_capture_from(re, text, 0, groups, max);
}

extern "C" int toc_regex_capture_from(const struct toc_regex *re, struct toc_sv text, size_t from,
                                      struct toc_sv *groups, int max) {
    enum { MAX_GROUPS = 64 };
    re2::StringPiece found[MAX_GROUPS];
    int want = std::min({max, toc_regex_group_count(re) + 1, (int)MAX_GROUPS});
    if (from > text.n || !match(re, text, from, found, want))
        return 0;
    for (int i = 0; i < want; i++)
        groups[i] = toc_sv{found[i].data(), found[i].size()};
    return want;
}

extern "C" int toc_regex_group_count(const struct toc_regex *re) {
    return re->get()->NumberOfCapturingGroups();
}

extern "C" const char *toc_regex_group_name(const struct toc_regex *re, int i) {
    const auto &names = re->get()->CapturingGroupNames();
    auto it = names.find(i);
    return it == names.end() ? "" : it->second.c_str();
}
