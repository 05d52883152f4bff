#include "app/options.h"

#include <stdio.h>
#include <string.h>

#include "app/command.h"
#include "base/num.h"
#include "base/sv.h"
#include "base/time.h"

static const struct toc_option *find_long(const struct toc_option *options, struct toc_sv name) {
    for (; options->name; options++)
        if (toc_sv_eq_cstr(name, options->name))
            return options;
    return NULL;
}

static const struct toc_option *find_letter(const struct toc_option *options, char letter) {
    for (; options->name; options++)
        if (options->letter == letter)
            return options;
    return NULL;
}

static void say_unknown(const char *command, const struct toc_option *options, struct toc_sv name) {
    const char *nearest = NULL;
    unsigned best = 4;
    for (; options->name; options++) {
        unsigned d = toc_sv_distance(name, toc_sv_cstr(options->name));
        if (d < best) {
            best = d;
            nearest = options->name;
        }
    }
    fprintf(stderr, "tocsin %s: unknown option --%.*s", command, TOC_SV_ARG(name));
    if (nearest)
        fprintf(stderr, "; did you mean --%s?", nearest);
    fprintf(stderr, " (see tocsin %s --help)\n", command);
}

static int store(const char *command, const struct toc_option *o, const char *text) {
    struct toc_err err = {0};
    struct toc_sv s = toc_sv_cstr(text);
    int rc = 0;
    const char *expected = "";
    switch (o->type) {
    case TOC_OPTION_FLAG:
        *(bool *)o->value = true;
        break;
    case TOC_OPTION_STRING:
        *(const char **)o->value = text;
        break;
    case TOC_OPTION_INT:
        rc = toc_parse_i64(s, o->value);
        expected = "a whole number";
        break;
    case TOC_OPTION_DOUBLE:
        rc = toc_parse_f64(s, o->value);
        expected = "a number";
        break;
    case TOC_OPTION_DURATION:
        rc = toc_duration_parse(s, o->value, &err);
        expected = "a duration such as 30s, 5m or 1h30m";
        break;
    case TOC_OPTION_LIST: {
        struct toc_option_list *list = o->value;
        if (list->count == TOC_OPTION_LIST_MAX) {
            fprintf(stderr, "tocsin %s: --%s may be given at most %d times\n", command, o->name,
                    TOC_OPTION_LIST_MAX);
            return TOC_EXIT_USAGE;
        }
        list->items[list->count++] = text;
        break;
    }
    }
    if (rc < 0) {
        fprintf(stderr, "tocsin %s: --%s expects %s, got \"%s\"\n", command, o->name, expected,
                text);
        return TOC_EXIT_USAGE;
    }
    return 0;
}

/* One option at argv[*i]; moves *i over its value. */
static int take_option(int argc, char **argv, int *i, const struct toc_option *options) {
    const char *arg = argv[*i], *inline_value = NULL;
    const struct toc_option *o;
    if (arg[1] == '-') {
        struct toc_sv name = toc_sv_cstr(arg + 2);
        size_t equals = toc_sv_find_char(name, '=');
        if (equals != SIZE_MAX) {
            inline_value = arg + 2 + equals + 1;
            name = toc_sv_sub(name, 0, equals);
        }
        o = find_long(options, name);
        if (!o) {
            say_unknown(argv[0], options, name);
            return TOC_EXIT_USAGE;
        }
    } else {
        o = find_letter(options, arg[1]);
        if (!o || (arg[2] && o->type == TOC_OPTION_FLAG)) {
            say_unknown(argv[0], options, toc_sv_cstr(arg + 1));
            return TOC_EXIT_USAGE;
        }
        if (arg[2])
            inline_value = arg + 2;
    }
    if (o->type == TOC_OPTION_FLAG) {
        if (inline_value) {
            fprintf(stderr, "tocsin %s: --%s takes no value\n", argv[0], o->name);
            return TOC_EXIT_USAGE;
        }
        return store(argv[0], o, "");
    }
    if (inline_value)
        return store(argv[0], o, inline_value);
    if (*i + 1 >= argc) {
        fprintf(stderr, "tocsin %s: --%s needs a value\n", argv[0], o->name);
        return TOC_EXIT_USAGE;
    }
    return store(argv[0], o, argv[++*i]);
}

int toc_options_parse(int argc, char **argv, const struct toc_option *options, const char *usage,
                      int *out_positional) {
    int count = 0;
    bool only_positional = false;
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        if (!only_positional && strcmp(arg, "--") == 0) {
            only_positional = true;
        } else if (!only_positional && (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0)) {
            fputs(usage, stdout);
            return -1;
        } else if (!only_positional && arg[0] == '-' && arg[1]) {
            int rc = take_option(argc, argv, &i, options);
            if (rc != 0)
                return rc;
        } else {
            argv[++count] = argv[i];
        }
    }
    if (out_positional)
        *out_positional = count;
    else if (count > 0) {
        fprintf(stderr, "tocsin %s: unexpected argument \"%s\" (see tocsin %s --help)\n", argv[0],
                argv[1], argv[0]);
        return TOC_EXIT_USAGE;
    }
    return 0;
}
