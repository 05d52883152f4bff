#include <simdjson.h>

extern "C" {
#include "base/error.h"
#include "shim/json.h"
}

namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;

enum { DEPTH_MAX = 64 };

/* The place in one container: children are visited without recursion. */
struct frame {
    bool is_object;
    simdjson::dom::array::iterator item, item_end;
    simdjson::dom::object::iterator member, member_end;
};

struct walk {
    int (*on_event)(void *ctx, const struct toc_json_event *event);
    void *ctx;
    int max_depth;
    int depth;
    frame frames[DEPTH_MAX];
};

toc_sv view(std::string_view s) { return toc_sv{s.data(), s.size()}; }

int open(walk &w, element e, toc_json_event &event) {
    if (w.depth >= w.max_depth)
        return TOC_ELIMIT;
    frame &f = w.frames[w.depth++];
    f.is_object = e.is_object();
    if (f.is_object) {
        simdjson::dom::object o = e.get_object().value_unsafe();
        f.member = o.begin();
        f.member_end = o.end();
        event.type = TOC_JSON_EVENT_BEGIN_OBJECT;
        for (auto i = o.begin(); i != o.end(); ++i)
            event.count++;
    } else {
        simdjson::dom::array a = e.get_array().value_unsafe();
        f.item = a.begin();
        f.item_end = a.end();
        event.type = TOC_JSON_EVENT_BEGIN_ARRAY;
        for (auto i = a.begin(); i != a.end(); ++i)
            event.count++;
    }
    return w.on_event(w.ctx, &event);
}

int visit(walk &w, toc_sv key, element e) {
    toc_json_event event{};
    event.key = key;
    switch (e.type()) {
    case element_type::ARRAY:
    case element_type::OBJECT:
        return open(w, e, event);
    case element_type::STRING:
        event.type = TOC_JSON_EVENT_STRING;
        event.string = view(e.get_string().value_unsafe());
        break;
    case element_type::INT64:
        event.type = TOC_JSON_EVENT_INT;
        event.integer = e.get_int64().value_unsafe();
        event.number = (double)event.integer;
        break;
    case element_type::UINT64:
        event.type = TOC_JSON_EVENT_DOUBLE;
        event.number = (double)e.get_uint64().value_unsafe();
        break;
    case element_type::DOUBLE:
        event.type = TOC_JSON_EVENT_DOUBLE;
        event.number = e.get_double().value_unsafe();
        break;
    case element_type::BOOL:
        event.type = TOC_JSON_EVENT_BOOL;
        event.boolean = e.get_bool().value_unsafe();
        break;
    case element_type::NULL_VALUE:
        event.type = TOC_JSON_EVENT_NULL;
        break;
    }
    return w.on_event(w.ctx, &event);
}

int step(walk &w) {
    frame &f = w.frames[w.depth - 1];
    if (f.is_object && f.member != f.member_end) {
        toc_sv key = view(f.member.key());
        element value = f.member.value();
        ++f.member;
        return visit(w, key, value);
    }
    if (!f.is_object && f.item != f.item_end) {
        element value = *f.item;
        ++f.item;
        return visit(w, toc_sv{nullptr, 0}, value);
    }
    toc_json_event event{};
    event.type = f.is_object ? TOC_JSON_EVENT_END_OBJECT : TOC_JSON_EVENT_END_ARRAY;
    w.depth--;
    return w.on_event(w.ctx, &event);
}

int code_of(simdjson::error_code e) {
    if (e == simdjson::MEMALLOC)
        return TOC_ENOMEM;
    return e == simdjson::DEPTH_ERROR || e == simdjson::CAPACITY ? TOC_ELIMIT : TOC_EPARSE;
}

} // namespace

extern "C" int toc_shim_json_walk(struct toc_sv text, int max_depth,
                                  int (*on_event)(void *ctx, const struct toc_json_event *event),
                                  void *ctx) {
    simdjson::dom::parser parser;
    simdjson::dom::element root;
    /* The parser reads whole vectors: it copies the text behind padding of its own. */
    simdjson::error_code e =
        parser.parse(text.p ? text.p : "", text.n, true).get(root);
    if (e)
        return code_of(e);
    walk w{};
    w.on_event = on_event;
    w.ctx = ctx;
    w.max_depth = max_depth < 1 || max_depth > DEPTH_MAX ? (int)DEPTH_MAX : max_depth;
    int rc = visit(w, toc_sv{nullptr, 0}, root);
    while (!rc && w.depth > 0)
        rc = step(w);
    return rc;
}
