#include <re2/re2.h>

#include <algorithm>
#include <new>
#include <string>

extern "C" {
#include "shim/regex.h"
}

struct toc_regex {
    RE2 re;
    bool anchored;
    toc_regex(re2::StringPiece pattern, const RE2::Options &options, bool is_anchored)
        : re(pattern, options), anchored(is_anchored) {}
};

static re2::StringPiece piece(struct toc_sv s) { return re2::StringPiece(s.p ? s.p : "", s.n); }

extern "C" int toc_regex_new(struct toc_sv pattern, enum toc_regex_flags flags,
                             struct toc_regex **out, struct toc_err *err) {
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(8 << 20);
    options.set_dot_nl(flags == TOC_REGEX_ANCHORED);
    auto *made = new (std::nothrow) toc_regex(piece(pattern), options, flags == TOC_REGEX_ANCHORED);
    if (!made)
        return TOC_ENOMEM;
    if (!made->re.ok()) {
        toc_errf(err, TOC_EPARSE, "bad regular expression \"%.*s\": %s", (int)std::min<size_t>(pattern.n, 200),
                 pattern.p ? pattern.p : "", made->re.error().c_str());
        delete made;
        return TOC_EPARSE;
    }
    *out = made;
    return 0;
}

extern "C" void toc_regex_free(struct toc_regex **re) {
    if (!re)
        return;
    delete *re;
    *re = nullptr;
}

static bool match(const struct toc_regex *re, struct toc_sv text, size_t from,
                  re2::StringPiece *groups, int n) {
    return re->re.Match(piece(text), from, text.n, re->anchored ? RE2::ANCHOR_BOTH : RE2::UNANCHORED,
                        groups, n);
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
    int want = std::min({max, re->re.NumberOfCapturingGroups() + 1, (int)MAX_GROUPS});
    if (from > text.n || !match(re, text, from, found, want))
        return 0;
    for (int i = 0; i < want; i++)
        groups[i] = toc_sv{found[i].data(), found[i].size()};
    return want;
}

extern "C" int toc_regex_group_count(const struct toc_regex *re) {
    return re->re.NumberOfCapturingGroups();
}

extern "C" const char *toc_regex_group_name(const struct toc_regex *re, int i) {
    const auto &names = re->re.CapturingGroupNames();
    auto it = names.find(i);
    return it == names.end() ? "" : it->second.c_str();
}
