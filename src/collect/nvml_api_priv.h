/*
 * The part of NVML's binary interface that is used, declared from its public documentation
 * (docs.nvidia.com/deploy/nvml-api): types, codes and a table of functions. The newest name of a
 * function comes first; what the library lacks stays NULL and counts as "not supported".
 */
#ifndef TOC_COLLECT_NVML_API_PRIV_H
#define TOC_COLLECT_NVML_API_PRIV_H

#include "sys/dynlib.h"

typedef void *toc_nvml_device; /* nvmlDevice_t, an opaque pointer of the library */

enum {
    NVML_OK = 0,
    NVML_NOT_SUPPORTED = 3,
    NVML_TIMEOUT = 10,
    NVML_GPU_IS_LOST = 15,
};

enum { NVML_CLOCK_SM = 1, NVML_CLOCK_MEM = 2, NVML_TEMPERATURE_GPU = 0 };
enum { NVML_ECC_CORRECTED = 0, NVML_ECC_UNCORRECTED = 1 };
enum { NVML_ECC_VOLATILE = 0, NVML_ECC_AGGREGATE = 1 };
enum { NVML_FIELD_MEMORY_TEMP = 82 };
#define NVML_EVENT_XID 0x8ULL

struct nvml_utilization {
    unsigned gpu, memory;
};
struct nvml_memory {
    unsigned long long total, free, used;
};
struct nvml_memory_v2 {
    unsigned version;
    unsigned long long total, reserved, free, used;
};
struct nvml_pci {
    char bus_id_legacy[16];
    unsigned domain, bus, device, device_id, subsystem_id;
    char bus_id[32];
};
struct nvml_violation {
    unsigned long long reference_ns, violation_ns;
};
struct nvml_event {
    toc_nvml_device device;
    unsigned long long type, data;
    unsigned gpu_instance, compute_instance;
};
struct nvml_field {
    unsigned field, scope;
    long long timestamp, latency_us;
    int type, result;
    union {
        double f64;
        unsigned u32;
        unsigned long ulong;
        unsigned long long u64;
        long long i64;
    } value;
};

/* X(member, parameters, newest symbol, older symbol or NULL) */
#define TOC_NVML_FUNCTIONS(X)                                                                      \
    X(init, (void), "nvmlInit_v2", "nvmlInit")                                                     \
    X(shutdown, (void), "nvmlShutdown", NULL)                                                      \
    X(driver_version, (char *, unsigned), "nvmlSystemGetDriverVersion", NULL)                      \
    X(count, (unsigned *), "nvmlDeviceGetCount_v2", "nvmlDeviceGetCount")                          \
    X(by_index, (unsigned, toc_nvml_device *), "nvmlDeviceGetHandleByIndex_v2",                    \
      "nvmlDeviceGetHandleByIndex")                                                                \
    X(uuid, (toc_nvml_device, char *, unsigned), "nvmlDeviceGetUUID", NULL)                        \
    X(name, (toc_nvml_device, char *, unsigned), "nvmlDeviceGetName", NULL)                        \
    X(minor, (toc_nvml_device, unsigned *), "nvmlDeviceGetMinorNumber", NULL)                      \
    X(pci, (toc_nvml_device, struct nvml_pci *), "nvmlDeviceGetPciInfo_v3", NULL)                  \
    X(utilization, (toc_nvml_device, struct nvml_utilization *), "nvmlDeviceGetUtilizationRates",  \
      NULL)                                                                                        \
    X(memory_v2, (toc_nvml_device, struct nvml_memory_v2 *), "nvmlDeviceGetMemoryInfo_v2", NULL)   \
    X(memory, (toc_nvml_device, struct nvml_memory *), "nvmlDeviceGetMemoryInfo", NULL)            \
    X(power, (toc_nvml_device, unsigned *), "nvmlDeviceGetPowerUsage", NULL)                       \
    X(power_limit, (toc_nvml_device, unsigned *), "nvmlDeviceGetEnforcedPowerLimit", NULL)         \
    X(energy, (toc_nvml_device, unsigned long long *), "nvmlDeviceGetTotalEnergyConsumption",      \
      NULL)                                                                                        \
    X(temperature, (toc_nvml_device, int, unsigned *), "nvmlDeviceGetTemperature", NULL)           \
    X(clock, (toc_nvml_device, int, unsigned *), "nvmlDeviceGetClockInfo", NULL)                   \
    X(ecc, (toc_nvml_device, int, int, unsigned long long *), "nvmlDeviceGetTotalEccErrors", NULL) \
    X(reasons, (toc_nvml_device, unsigned long long *), "nvmlDeviceGetCurrentClocksEventReasons",  \
      "nvmlDeviceGetCurrentClocksThrottleReasons")                                                 \
    X(violation, (toc_nvml_device, int, struct nvml_violation *), "nvmlDeviceGetViolationStatus",  \
      NULL)                                                                                        \
    X(pcie_replay, (toc_nvml_device, unsigned *), "nvmlDeviceGetPcieReplayCounter", NULL)          \
    X(encoder, (toc_nvml_device, unsigned *, unsigned *), "nvmlDeviceGetEncoderUtilization", NULL) \
    X(decoder, (toc_nvml_device, unsigned *, unsigned *), "nvmlDeviceGetDecoderUtilization", NULL) \
    X(remapped, (toc_nvml_device, unsigned *, unsigned *, unsigned *, unsigned *),                 \
      "nvmlDeviceGetRemappedRows", NULL)                                                           \
    X(fields, (toc_nvml_device, int, struct nvml_field *), "nvmlDeviceGetFieldValues", NULL)       \
    X(event_set_new, (void **), "nvmlEventSetCreate", NULL)                                        \
    X(event_set_free, (void *), "nvmlEventSetFree", NULL)                                          \
    X(event_register, (toc_nvml_device, unsigned long long, void *), "nvmlDeviceRegisterEvents",   \
      NULL)                                                                                        \
    X(event_wait, (void *, struct nvml_event *, unsigned), "nvmlEventSetWait_v2",                  \
      "nvmlEventSetWait")

struct toc_nvml_api {
    struct toc_dynlib *library;
#define X(member, parameters, symbol, older) int(*member) parameters;
    TOC_NVML_FUNCTIONS(X)
#undef X
};

/* Loads the library and its functions. TOC_ENOENT without it, TOC_EUNSUPPORTED when a basic one
 * is missing. */
int toc_nvml_api_open(const char *library, struct toc_nvml_api *out) TOC_MUST_CHECK;
void toc_nvml_api_close(struct toc_nvml_api *api);

#endif
