/* The text the demo trains on: the project's own documentation, embedded at build time. */
#ifndef TOC_APP_DEMO_TEXT_H
#define TOC_APP_DEMO_TEXT_H

#include "base/sv.h"

struct toc_sv toc_demo_text(void);

#endif
