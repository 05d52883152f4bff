/* What a gate will do, as JSON and in words. */
#ifndef TOC_INCIDENT_LEARN_FORECAST_H
#define TOC_INCIDENT_LEARN_FORECAST_H

#include "codec/json_writer.h"
#include "detect/gate.h"

/* An object. */
void toc_learn_write_effect(struct toc_json_writer *w, const struct toc_gate_effect *e);
/* An object: numbers with their intervals, and whether an effect is shown. */
void toc_learn_write_forecast(struct toc_json_writer *w, const struct toc_gate_forecast *f);
/* 0 when an effect is shown; else why the gate must not withhold: TOC_ENODATA, TOC_ECONFLICT. */
int toc_learn_check_forecast(const struct toc_gate_forecast *f, struct toc_err *err) TOC_MUST_CHECK;

#endif
