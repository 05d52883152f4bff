/* YAML out: a document as it is shown to people, without secrets. */
#ifndef TOC_CODEC_YAML_WRITE_H
#define TOC_CODEC_YAML_WRITE_H

#include "base/buf.h"
#include "codec/yaml.h"

/* Plain where YAML reads it as that text and nothing else, in double quotes otherwise. */
void toc_yaml_append_scalar(struct toc_buf *out, struct toc_sv s);
/* `scheme://user:password@host` without the password; false, and nothing is written, for any other
 * text. */
bool toc_yaml_append_masked_url(struct toc_buf *out, struct toc_sv s);
/* A mapping or list in block style. The values of keys that end in password, credentials, token,
 * secret or key, and passwords in URLs, read `<secret>`. */
void toc_yaml_format(const struct toc_yaml *root, struct toc_buf *out);

#endif
