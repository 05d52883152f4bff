/* The reader of rule files, shared by its two files. */
#ifndef TOC_RULES_RULE_FILE_PRIV_H
#define TOC_RULES_RULE_FILE_PRIV_H

#include "codec/yaml.h"
#include "rules/rule_file.h"

struct rule_reader {
    struct toc_rule_file *file;
    const struct toc_rule_file_options *options;
    const struct toc_rule_group *group;
    size_t rule_index;       /* 1-based, 0 outside rules */
    struct toc_sv rule_name; /* as far as known */
    struct toc_err first;    /* sticky: the file is bad, reading goes on for the other problems */
};

/* Reports a problem at a node, in upstream's form. */
void toc_rule_problem(struct rule_reader *r, const struct toc_yaml *n, int code, const char *text,
                      struct toc_sv detail);
void toc_rule_problem_why(struct rule_reader *r, const struct toc_yaml *n, const char *text,
                          const struct toc_err *why);
void toc_rule_read_string(struct rule_reader *r, const struct toc_yaml *map, const char *key,
                          struct toc_sv *out);
void toc_rule_read_duration(struct rule_reader *r, const struct toc_yaml *map, const char *key,
                            int64_t *out);

enum rule_text_kind { RULE_TEXT_LABEL, RULE_TEXT_ANNOTATION, RULE_TEXT_GROUP_LABEL };
void toc_rule_read_texts(struct rule_reader *r, const struct toc_yaml *map,
                         enum rule_text_kind kind, bool is_template, struct toc_rule_text **out,
                         size_t *out_count);
void toc_rule_read_rule(struct rule_reader *r, const struct toc_yaml *map, struct toc_rule *rule);

#endif
