/* Libraries that may or may not be installed, loaded while the program runs. */
#ifndef TOC_SYS_DYNLIB_H
#define TOC_SYS_DYNLIB_H

#include "base/attrs.h"
#include "base/error.h"

struct toc_dynlib;

/* Loads by file name ("libx.so.1": the loader's search path; or a path). TOC_ENOENT when it is
 * not there. */
int toc_dynlib_open(const char *name, struct toc_dynlib **out) TOC_MUST_CHECK;
/* Address of a symbol, NULL when the library lacks it. Copy it into a function pointer. */
void *toc_dynlib_symbol(struct toc_dynlib *lib, const char *symbol);
/* NULL is accepted; no function of the library may be called afterwards. */
void toc_dynlib_close(struct toc_dynlib **lib);

#endif
