/*
 * An NVML with two made-up GPUs, steered by the test through fake_nvml. Lacks some functions on
 * purpose (there is no nvmlDeviceGetMemoryInfo_v2 and no clock-event name), as older drivers do.
 * Only what the collector uses.
 */
#include "fake_nvml.h"

#include <stdio.h>
#include <string.h>

struct fake_nvml fake_nvml = {.count = 2};

#define EXPORT __attribute__((visibility("default")))

static int check(void *device) {
    long i = (long)device - 1;
    return fake_nvml.is_lost[i & 1] ? 15 : 0;
}
static int index_of(void *device) {
    return (int)(long)device - 1;
}

EXPORT int nvmlInit_v2(void);
EXPORT int nvmlInit_v2(void) {
    return fake_nvml.init_result;
}
EXPORT int nvmlShutdown(void);
EXPORT int nvmlShutdown(void) {
    fake_nvml.shutdowns++;
    return 0;
}
EXPORT int nvmlSystemGetDriverVersion(char *out, unsigned size);
EXPORT int nvmlSystemGetDriverVersion(char *out, unsigned size) {
    snprintf(out, size, "550.54.15");
    return 0;
}
EXPORT int nvmlDeviceGetCount_v2(unsigned *out);
EXPORT int nvmlDeviceGetCount_v2(unsigned *out) {
    *out = fake_nvml.count;
    return 0;
}
EXPORT int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **out);
EXPORT int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **out) {
    *out = (void *)(long)(i + 1);
    return 0;
}
EXPORT int nvmlDeviceGetUUID(void *d, char *out, unsigned size);
EXPORT int nvmlDeviceGetUUID(void *d, char *out, unsigned size) {
    snprintf(out, size, "GPU-%d", index_of(d));
    return 0;
}
EXPORT int nvmlDeviceGetName(void *d, char *out, unsigned size);
EXPORT int nvmlDeviceGetName(void *d, char *out, unsigned size) {
    (void)d;
    snprintf(out, size, "Fake H200");
    return 0;
}
EXPORT int nvmlDeviceGetMinorNumber(void *d, unsigned *out);
EXPORT int nvmlDeviceGetMinorNumber(void *d, unsigned *out) {
    *out = (unsigned)index_of(d);
    return 0;
}
EXPORT int nvmlDeviceGetPciInfo_v3(void *d, struct fake_nvml_pci *out);
EXPORT int nvmlDeviceGetPciInfo_v3(void *d, struct fake_nvml_pci *out) {
    snprintf(out->bus_id, sizeof out->bus_id, "00000000:0%d:00.0", index_of(d) + 7);
    return 0;
}
EXPORT int nvmlDeviceGetUtilizationRates(void *d, unsigned out[2]);
EXPORT int nvmlDeviceGetUtilizationRates(void *d, unsigned out[2]) {
    out[0] = 87, out[1] = 12;
    return check(d);
}
EXPORT int nvmlDeviceGetMemoryInfo(void *d, unsigned long long out[3]);
EXPORT int nvmlDeviceGetMemoryInfo(void *d, unsigned long long out[3]) {
    out[0] = 100ULL << 20, out[1] = 60ULL << 20, out[2] = 40ULL << 20;
    return check(d);
}
EXPORT int nvmlDeviceGetPowerUsage(void *d, unsigned *out);
EXPORT int nvmlDeviceGetPowerUsage(void *d, unsigned *out) {
    *out = 345678;
    return check(d);
}
EXPORT int nvmlDeviceGetTotalEnergyConsumption(void *d, unsigned long long *out);
EXPORT int nvmlDeviceGetTotalEnergyConsumption(void *d, unsigned long long *out) {
    *out = 5000000000ULL;
    return check(d);
}
EXPORT int nvmlDeviceGetTemperature(void *d, int sensor, unsigned *out);
EXPORT int nvmlDeviceGetTemperature(void *d, int sensor, unsigned *out) {
    *out = sensor == 0 ? 66 : 0;
    return check(d);
}
EXPORT int nvmlDeviceGetClockInfo(void *d, int type, unsigned *out);
EXPORT int nvmlDeviceGetClockInfo(void *d, int type, unsigned *out) {
    *out = type == 1 ? 1980 : type == 2 ? 3201 : 0;
    return check(d);
}
EXPORT int nvmlDeviceGetTotalEccErrors(void *d, int error, int counter, unsigned long long *out);
EXPORT int nvmlDeviceGetTotalEccErrors(void *d, int error, int counter, unsigned long long *out) {
    *out = (unsigned long long)(1 + error * 10 + counter * 100);
    return index_of(d) == 1 ? 3 : check(d); /* the second has no ECC */
}
EXPORT int nvmlDeviceGetCurrentClocksThrottleReasons(void *d, unsigned long long *out);
EXPORT int nvmlDeviceGetCurrentClocksThrottleReasons(void *d, unsigned long long *out) {
    *out = 0x40;
    return check(d);
}
EXPORT int nvmlDeviceGetViolationStatus(void *d, int policy, unsigned long long out[2]);
EXPORT int nvmlDeviceGetViolationStatus(void *d, int policy, unsigned long long out[2]) {
    out[0] = 1, out[1] = (unsigned long long)policy * 1000;
    return check(d);
}
EXPORT int nvmlDeviceGetRemappedRows(void *d, unsigned *a, unsigned *b, unsigned *c, unsigned *e);
EXPORT int nvmlDeviceGetRemappedRows(void *d, unsigned *a, unsigned *b, unsigned *c, unsigned *e) {
    *a = 1, *b = 2, *c = 0, *e = 1;
    return check(d);
}
EXPORT int nvmlEventSetCreate(void **out);
EXPORT int nvmlEventSetCreate(void **out) {
    *out = &fake_nvml;
    return 0;
}
EXPORT int nvmlEventSetFree(void *set);
EXPORT int nvmlEventSetFree(void *set) {
    (void)set;
    return 0;
}
EXPORT int nvmlDeviceRegisterEvents(void *d, unsigned long long mask, void *set);
EXPORT int nvmlDeviceRegisterEvents(void *d, unsigned long long mask, void *set) {
    (void)d, (void)set;
    fake_nvml.registered += mask == 8;
    return 0;
}
EXPORT int nvmlEventSetWait_v2(void *set, struct fake_nvml_event *out, unsigned timeout_ms);
EXPORT int nvmlEventSetWait_v2(void *set, struct fake_nvml_event *out, unsigned timeout_ms) {
    (void)set, (void)timeout_ms;
    if (fake_nvml.xid_count == 0)
        return 10;
    fake_nvml.xid_count--;
    *out = (struct fake_nvml_event){
        .device = (void *)(long)(fake_nvml.xid_gpu + 1), .type = 8, .data = fake_nvml.xid};
    return 0;
}
