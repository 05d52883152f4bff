/* The reader of the built-in tables, which lies in codec/. */
#ifndef TOC_DIAGNOSE_TABLE_TEXT_PRIV_H
#define TOC_DIAGNOSE_TABLE_TEXT_PRIV_H

#include "codec/table_text.h"

#endif
