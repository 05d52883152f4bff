#include "app/doctor_words.h"

#include <math.h>
#include <string.h>

#include "base/num.h"
#include "base/time.h"

void toc_doctor_append_time(int64_t ms, struct toc_buf *out) {
    struct toc_civil c = toc_ts_civil((struct toc_ts){ms});
    toc_buf_printf(out, "%04lld-%02d-%02d %02d:%02d:%02d UTC", (long long)c.year, c.month, c.day,
                   c.hour, c.minute, c.second);
}

void toc_doctor_append_number(double v, struct toc_sv unit, struct toc_buf *out) {
    if (isnan(v))
        toc_buf_append_cstr(out, "NaN");
    else if (isinf(v))
        toc_buf_append_cstr(out, v > 0 ? "+Inf" : "-Inf");
    else if (toc_sv_eq(unit, TOC_SV("bytes")))
        toc_format_bytes(v, out);
    else if (toc_sv_eq(unit, TOC_SV("ratio")))
        toc_buf_printf(out, "%.3g %%", 100 * v);
    else
        toc_buf_printf(out, "%.4g%s%.*s", v, unit.n ? " " : "", TOC_SV_ARG(unit));
}

void toc_doctor_append_band(const struct toc_evidence *e, struct toc_buf *out) {
    bool has_lower = !isnan(e->expected_lower), has_upper = !isnan(e->expected_upper);
    if (!has_lower && !has_upper)
        return;
    toc_buf_append_cstr(out, has_lower ? ", usual " : ", usual up to ");
    if (has_lower)
        toc_doctor_append_number(e->expected_lower, e->unit, out);
    if (has_lower)
        toc_buf_append_cstr(out, has_upper ? " to " : " and more");
    if (has_upper)
        toc_doctor_append_number(e->expected_upper, e->unit, out);
}

void toc_doctor_append_printable(struct toc_sv text, struct toc_buf *out) {
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        toc_buf_append_char(out, (c < 0x20 && c != '\n') || c == 0x7f ? '?' : (char)c);
    }
}

void toc_doctor_append_short(double v, struct toc_sv unit, struct toc_buf *out) {
    if (toc_sv_eq(unit, TOC_SV("bytes")))
        toc_format_bytes(v, out);
    else if (fabs(v) >= 10000)
        toc_format_si(v, out);
    else
        toc_buf_printf(out, "%.3g", v);
}

/* X(metric, English, Chinese, unit): curves of a report. */
#define METRICS(X)                                                          \
    X("train_loss", "loss", "训练损失", "")                                 \
    X("train_val_loss", "validation loss", "验证损失", "")                  \
    X("train_grad_norm", "gradient norm", "梯度范数", "")                   \
    X("train_learning_rate", "learning rate", "学习率", "")                 \
    X("train_step_seconds", "time per step", "步耗时", "s")                 \
    X("train_tokens_per_second", "tokens per second", "每秒词元数", "")     \
    X("train_samples_per_second", "samples per second", "每秒样本数", "")   \
    X("train_data_seconds", "time waiting for data", "等待数据的时间", "s") \
    X("train_memory_bytes", "memory in use", "内存使用", "bytes")           \
    X("train_loss_scale", "loss scale", "损失缩放", "")                     \
    X("train_accuracy", "accuracy", "准确率", "ratio")                      \
    X("train_val_accuracy", "validation accuracy", "验证准确率", "ratio")

static const struct metric {
    const char *name, *en, *zh;
    struct toc_sv unit;
} metrics[] = {
#define X(name, en, zh, unit) {name, en, zh, {unit, sizeof unit - 1}},
    METRICS(X)
#undef X
};

static const struct metric *find(const char *name) {
    for (size_t i = 0; i < TOC_ARRAY_LEN(metrics); i++)
        if (strcmp(metrics[i].name, name) == 0)
            return &metrics[i];
    return NULL;
}

const char *toc_doctor_metric_text(const char *metric) {
    const struct metric *m = find(metric);
    return m ? m->en : strncmp(metric, "train_", 6) == 0 ? metric + 6 : metric;
}

const char *toc_doctor_metric_text_zh(const char *metric) {
    const struct metric *m = find(metric);
    return m ? m->zh : toc_doctor_metric_text(metric);
}

struct toc_sv toc_doctor_metric_unit(const char *metric) {
    const struct metric *m = find(metric);
    return m ? m->unit : TOC_SV_NULL;
}

bool toc_doctor_is_curve_shown(const char *metric) {
    return find(metric) != NULL;
}

/* X(kind, Chinese): what a training run may suffer from. */
#define KINDS(X)                           \
    X(NON_FINITE, "数值非有限（NaN/Inf）") \
    X(LOSS_SPIKE, "损失尖峰")              \
    X(DIVERGENCE, "训练发散")              \
    X(PLATEAU, "损失停滞")                 \
    X(SLOW_CONVERGENCE, "收敛缓慢")        \
    X(OSCILLATION, "损失振荡")             \
    X(OVERFIT, "过拟合")                   \
    X(VANISHING_GRADIENT, "梯度消失")      \
    X(EXPLODING_GRADIENT, "梯度爆炸")      \
    X(DEAD_UNITS, "死亡神经元")            \
    X(SATURATION, "激活饱和")              \
    X(UPDATE_RATIO, "更新/权重比异常")     \
    X(PARAMETER_DRIFT, "参数漂移")         \
    X(REPLICA_DIVERGENCE, "副本不一致")    \
    X(AMP_TROUBLE, "混合精度异常")         \
    X(MOE_IMBALANCE, "专家负载不均")       \
    X(THROUGHPUT_DROP, "吞吐下降")         \
    X(DATA_STARVATION, "数据供给不足")     \
    X(STRAGGLER, "掉队节点")               \
    X(HANG, "训练挂起")                    \
    X(CHECKPOINT_OVERDUE, "检查点超期")    \
    X(CHECKPOINT_CORRUPT, "检查点损坏")    \
    X(MEMORY_GROWTH, "内存持续增长")       \
    X(OOM, "内存耗尽")                     \
    X(CRASH, "训练进程异常退出")           \
    X(RESTART_STORM, "反复重启")

const char *toc_doctor_kind_zh(enum toc_kind kind) {
    static const char *const texts[TOC_KIND_COUNT] = {
#define X(name, zh) [TOC_KIND_##name] = zh,
        KINDS(X)
#undef X
    };
    return texts[kind] ? texts[kind] : toc_kind_info(kind)->title;
}
