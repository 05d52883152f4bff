/*
 * The frame of a stored model: four letters (three say what it is, the last its version) | content
 * | u32 CRC-32C of both. The caller writes letters and content.
 */
#ifndef TOC_DETECT_MODEL_FRAME_H
#define TOC_DETECT_MODEL_FRAME_H

#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

enum { TOC_MODEL_MAGIC_BYTES = 4 };

/* Ends a model that began at `start` of the buffer; nothing when the buffer has failed. */
void toc_model_frame_end(struct toc_buf *b, size_t start);
/* *out reads the content and borrows the bytes. TOC_ETRUNCATED; TOC_ECORRUPT: another model, or
 * another checksum; TOC_EVERSION. */
int toc_model_frame_open(struct toc_sv bytes, const char magic[TOC_MODEL_MAGIC_BYTES],
                         struct toc_reader *out) TOC_MUST_CHECK;

#endif
