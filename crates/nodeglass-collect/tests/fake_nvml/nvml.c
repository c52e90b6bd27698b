/*
 * A libnvidia-ml for tests: two GPUs, the second split into two MIG instances. It has the symbols and the structures
 * of the real library, as far as the collector calls them, and writes its figures down below as constants.
 *
 * What it does is chosen by files in the directory that the library lies in, looked at in each call, so that a test can
 * change its mind between two readings and tests beside each other don't meet:
 *
 *   in_use              is there from a successful start to the end
 *   calls               every call is added here: its name, and the device it is about
 *   error.NAME          the function NAME returns the number in the file
 *   error.NAME.DEVICE   the same for one device: 0, 1, or 1-0 and 1-2 for the instances
 *   unsupported         every function about a device but those that find it returns NOT_SUPPORTED
 *   lost.GPU            calls about the GPU return GPU_IS_LOST, after as many as the file says (none if it is empty)
 *   hang                the temperature is not answered until the file is gone
 *   hang_pcie           PCIe throughput is not answered until the file is gone
 *   samples             process utilisation of GPU 0, a line each: pid, timestamp, SM, memory, encoder, decoder
 *   count               how many GPUs there are, 2 without the file
 *
 * Compiled with NO_V2, it lacks the second version of the process lists, and the third is as it should be; without, the
 * third has the longer entries that the drivers from 535.43 to 535.86 wrote.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SUCCESS = 0,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7,
    GPU_IS_LOST = 15,
    ARGUMENT_VERSION_MISMATCH = 25,
};

typedef int nvmlReturn_t;
typedef unsigned long long u64;

typedef struct {
    int gpu;
    int instance; /* -1 for the whole GPU */
    const char *label;
    const char *name;
    const char *uuid;
    u64 memory_total;
    u64 memory_used;
} Device;
typedef Device *nvmlDevice_t;

typedef struct { unsigned int gpu, memory; } nvmlUtilization_t;

typedef struct { unsigned int version; u64 total, reserved, free, used; } nvmlMemory_v2_t;
_Static_assert(sizeof(nvmlMemory_v2_t) == 40, "nvmlMemory_v2_t");

typedef struct {
    char busIdLegacy[16];
    unsigned int domain, bus, device, pciDeviceId, pciSubSystemId;
    char busId[32];
} nvmlPciInfo_t;
_Static_assert(sizeof(nvmlPciInfo_t) == 68, "nvmlPciInfo_t");

typedef struct { unsigned int pid; u64 usedGpuMemory; unsigned int gpuInstanceId, computeInstanceId; } nvmlProcessInfo_v2_t;
_Static_assert(sizeof(nvmlProcessInfo_v2_t) == 24, "nvmlProcessInfo_v2_t");

/* What the third version of the lists wrote for a while. */
typedef struct { nvmlProcessInfo_v2_t process; u64 usedGpuCcProtectedMemory; } LongProcessInfo;
_Static_assert(sizeof(LongProcessInfo) == 32, "LongProcessInfo");

typedef struct { unsigned int pid; u64 timeStamp; unsigned int smUtil, memUtil, encUtil, decUtil; } nvmlProcessUtilizationSample_t;
_Static_assert(sizeof(nvmlProcessUtilizationSample_t) == 32, "nvmlProcessUtilizationSample_t");

#define GIB (1ull << 30)
#define NOT_AVAILABLE (~0ull)
#define NO_INSTANCE 0xffffffffu

static Device gpus[2] = {
    { 0, -1, "0", "NVIDIA Fake 4090", "GPU-00000000-aaaa", 24 * GIB, 6 * GIB },
    { 1, -1, "1", "NVIDIA Fake H100", "GPU-11111111-bbbb", 80 * GIB, 20 * GIB },
};
static Device instances[2] = {
    { 1, 0, "1-0", "NVIDIA Fake H100 MIG 3g.40gb", "MIG-00000000-cccc", 40 * GIB, 10 * GIB },
    { 1, 2, "1-2", "NVIDIA Fake H100 MIG 1g.10gb", "MIG-22222222-dddd", 10 * GIB, 1 * GIB },
};

/* The path of a file beside the library. */
static void beside(char *path, size_t size, const char *name)
{
    Dl_info info;
    path[0] = 0;
    if (!dladdr((void *)&beside, &info) || !info.dli_fname)
        return;
    const char *slash = strrchr(info.dli_fname, '/');
    snprintf(path, size, "%.*s/%s", (int)(slash - info.dli_fname), info.dli_fname, name);
}

/* The number in a file beside the library: -1 if there is none, 0 if it is empty. */
static int number_in(const char *name)
{
    char path[1024];
    beside(path, sizeof path, name);
    FILE *file = fopen(path, "r");
    int number = 0;
    if (!file)
        return -1;
    if (fscanf(file, "%d", &number) != 1)
        number = 0;
    fclose(file);
    return number;
}

/* Writes the call down and says what it is to return; SUCCESS lets it go on. */
static nvmlReturn_t called(const char *function, const Device *device)
{
    char path[1024], text[256];
    int length = snprintf(text, sizeof text, "%s %s\n", function, device ? device->label : "-");
    beside(path, sizeof path, "calls");
    int calls = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (calls >= 0) {
        if (write(calls, text, (size_t)length) != length)
            abort();
        close(calls);
    }
    int error;
    if (device) {
        static int answered[2];
        snprintf(text, sizeof text, "lost.%d", device->gpu);
        int spared = number_in(text);
        if (spared < 0)
            answered[device->gpu] = 0;
        else if (answered[device->gpu]++ >= spared)
            return GPU_IS_LOST;
        snprintf(text, sizeof text, "error.%s.%s", function, device->label);
        if ((error = number_in(text)) > 0)
            return error;
    }
    snprintf(text, sizeof text, "error.%s", function);
    return (error = number_in(text)) > 0 ? error : SUCCESS;
}

#define BEGIN(device) do { nvmlReturn_t code = called(__func__, device); if (code != SUCCESS) return code; } while (0)

/* Of a function that any device may lack. */
#define OPTIONAL(device) do { BEGIN(device); if (number_in("unsupported") >= 0) return NOT_SUPPORTED; } while (0)

/* Of a function that instances lack. */
#define WHOLE(device) do { OPTIONAL(device); if ((device)->instance >= 0) return NOT_SUPPORTED; } while (0)

static int gpu_count(void)
{
    int count = number_in("count");
    return count < 0 ? 2 : count;
}

nvmlReturn_t nvmlInit_v2(void)
{
    char path[1024];
    BEGIN(NULL);
    beside(path, sizeof path, "in_use");
    close(open(path, O_WRONLY | O_CREAT, 0600));
    return SUCCESS;
}

nvmlReturn_t nvmlShutdown(void)
{
    char path[1024];
    BEGIN(NULL);
    beside(path, sizeof path, "in_use");
    unlink(path);
    return SUCCESS;
}

nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned int length)
{
    BEGIN(NULL);
    snprintf(version, length, "550.54.15");
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *count) { BEGIN(NULL); *count = (unsigned int)gpu_count(); return SUCCESS; }

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device)
{
    if (index >= (unsigned int)gpu_count())
        return INVALID_ARGUMENT;
    BEGIN(&gpus[index]);
    *device = &gpus[index];
    return SUCCESS;
}

/* The GPUs are at 0000:01:00 and 0000:41:00. */
static unsigned int bus_of(const Device *device) { return device->gpu == 0 ? 0x01 : 0x41; }

nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *text, nvmlDevice_t *device)
{
    unsigned int domain, bus, slot;
    if (sscanf(text, "%x:%x:%x", &domain, &bus, &slot) != 3)
        return INVALID_ARGUMENT;
    for (int gpu = 0; gpu < gpu_count(); gpu++) {
        if (domain == 0 && slot == 0 && bus == bus_of(&gpus[gpu])) {
            BEGIN(&gpus[gpu]);
            *device = &gpus[gpu];
            return SUCCESS;
        }
    }
    BEGIN(NULL);
    return NOT_FOUND;
}

nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, unsigned int *index) { BEGIN(device); *index = (unsigned int)device->gpu; return SUCCESS; }

nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
    BEGIN(device);
    memset(pci, 0, sizeof *pci);
    pci->bus = bus_of(device);
    snprintf(pci->busId, sizeof pci->busId, "%08X:%02X:%02X.0", 0, pci->bus, 0);
    snprintf(pci->busIdLegacy, sizeof pci->busIdLegacy, "%04X:%02X:%02X.0", 0, pci->bus, 0);
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned int length)
{
    OPTIONAL(device);
    snprintf(name, length, "%s", device->name);
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned int length)
{
    OPTIONAL(device);
    snprintf(uuid, length, "%s", device->uuid);
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *rates)
{
    WHOLE(device);
    if (device->gpu == 1) /* A GPU that is split does not know. */
        return NOT_SUPPORTED;
    rates->gpu = 87;
    rates->memory = 42;
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory)
{
    OPTIONAL(device);
    if (memory->version != (sizeof *memory | 2u << 24))
        return ARGUMENT_VERSION_MISMATCH;
    memory->total = device->memory_total;
    memory->reserved = GIB / 2;
    memory->used = device->memory_used;
    memory->free = memory->total - memory->reserved - memory->used;
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, int sensor, unsigned int *celsius)
{
    WHOLE(device);
    while (number_in("hang") >= 0)
        usleep(1000);
    *celsius = sensor == 0 ? 61u + (unsigned int)device->gpu : 0;
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetPowerUsage(nvmlDevice_t device, unsigned int *milliwatts) { WHOLE(device); *milliwatts = 312450; return SUCCESS; }
nvmlReturn_t nvmlDeviceGetEnforcedPowerLimit(nvmlDevice_t device, unsigned int *milliwatts) { WHOLE(device); *milliwatts = 450000; return SUCCESS; }

nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t device, int clock, unsigned int *mhz)
{
    WHOLE(device);
    switch (clock) {
    case 0: *mhz = 2520; return SUCCESS;
    case 2: *mhz = 10501; return SUCCESS;
    default: return INVALID_ARGUMENT;
    }
}

nvmlReturn_t nvmlDeviceGetNumFans(nvmlDevice_t device, unsigned int *count) { WHOLE(device); *count = 2; return SUCCESS; }

nvmlReturn_t nvmlDeviceGetFanSpeed_v2(nvmlDevice_t device, unsigned int fan, unsigned int *percent)
{
    WHOLE(device);
    if (fan > 1)
        return INVALID_ARGUMENT;
    *percent = fan == 0 ? 30 : 45;
    return SUCCESS;
}

/* GPU 0: a software power cap (4). GPU 1: a hardware slowdown (8) by heat (64), and settings (2). */
nvmlReturn_t nvmlDeviceGetCurrentClocksThrottleReasons(nvmlDevice_t device, u64 *reasons)
{
    WHOLE(device);
    *reasons = device->gpu == 0 ? 4 : 8 | 64 | 2;
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t device, int type, int counter, u64 *count)
{
    WHOLE(device);
    if (counter != 0)
        return INVALID_ARGUMENT;
    *count = type == 0 ? 7 : 1;
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetPcieThroughput(nvmlDevice_t device, int counter, unsigned int *kilobytes)
{
    WHOLE(device);
    while (number_in("hang_pcie") >= 0)
        usleep(1000);
    *kilobytes = counter == 0 ? 1500 : 12000;
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetEncoderUtilization(nvmlDevice_t device, unsigned int *percent, unsigned int *period)
{
    WHOLE(device);
    *percent = 12;
    *period = 167000;
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetDecoderUtilization(nvmlDevice_t device, unsigned int *percent, unsigned int *period)
{
    WHOLE(device);
    *percent = 34;
    *period = 167000;
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned int *current, unsigned int *pending)
{
    WHOLE(device);
    if (device->gpu == 0)
        return NOT_SUPPORTED;
    *current = *pending = 1;
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t device, unsigned int *count) { WHOLE(device); *count = device->gpu == 0 ? 0 : 3; return SUCCESS; }

nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned int index, nvmlDevice_t *instance)
{
    WHOLE(device);
    for (int i = 0; i < 2; i++) {
        if (device->gpu == 1 && instances[i].instance == (int)index) {
            *instance = &instances[i];
            return SUCCESS;
        }
    }
    return NOT_FOUND;
}

/* Processes: 100 draws and computes, 200 hides its memory, 300 only draws; on GPU 1, 100 is in both instances. */
static int list(const Device *device, int graphics, nvmlProcessInfo_v2_t *processes)
{
    static const nvmlProcessInfo_v2_t compute_0[] = { { 100, GIB, NO_INSTANCE, NO_INSTANCE }, { 200, NOT_AVAILABLE, NO_INSTANCE, NO_INSTANCE } };
    static const nvmlProcessInfo_v2_t graphics_0[] = { { 100, GIB, NO_INSTANCE, NO_INSTANCE }, { 300, GIB / 16, NO_INSTANCE, NO_INSTANCE } };
    static const nvmlProcessInfo_v2_t compute_1[] = { { 100, 2 * GIB, 1, 0 }, { 100, 3 * GIB, 2, 0 } };
    if (device->gpu == 0) {
        memcpy(processes, graphics ? graphics_0 : compute_0, sizeof compute_0);
        return 2;
    }
    if (graphics)
        return 0;
    if (device->instance < 0) {
        memcpy(processes, compute_1, sizeof compute_1);
        return 2;
    }
    processes[0] = compute_1[device->instance == 0 ? 0 : 1];
    return 1;
}

static nvmlReturn_t list_processes(const Device *device, int graphics, unsigned int *count, void *infos, size_t size)
{
    nvmlProcessInfo_v2_t processes[2];
    unsigned int room = *count;
    unsigned int there = (unsigned int)list(device, graphics, processes);
    *count = there;
    if (there > room)
        return INSUFFICIENT_SIZE;
    for (unsigned int i = 0; i < there; i++) {
        memset((char *)infos + i * size, 0, size);
        memcpy((char *)infos + i * size, &processes[i], sizeof processes[i]);
    }
    return SUCCESS;
}

#ifdef NO_V2
#define THIRD_SIZE sizeof(nvmlProcessInfo_v2_t)
#else
#define THIRD_SIZE sizeof(LongProcessInfo)
nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v2(nvmlDevice_t device, unsigned int *count, nvmlProcessInfo_v2_t *infos)
{
    OPTIONAL(device);
    return list_processes(device, 0, count, infos, sizeof *infos);
}

nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v2(nvmlDevice_t device, unsigned int *count, nvmlProcessInfo_v2_t *infos)
{
    OPTIONAL(device);
    return list_processes(device, 1, count, infos, sizeof *infos);
}
#endif

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device, unsigned int *count, void *infos)
{
    OPTIONAL(device);
    return list_processes(device, 0, count, infos, THIRD_SIZE);
}

nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v3(nvmlDevice_t device, unsigned int *count, void *infos)
{
    OPTIONAL(device);
    return list_processes(device, 1, count, infos, THIRD_SIZE);
}

nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t device, nvmlProcessUtilizationSample_t *samples, unsigned int *count, u64 last_seen)
{
    WHOLE(device);
    if (device->gpu == 1)
        return NOT_SUPPORTED;
    char path[1024];
    beside(path, sizeof path, "samples");
    FILE *file = fopen(path, "r");
    nvmlProcessUtilizationSample_t found[16];
    unsigned int there = 0;
    while (file && there < 16) {
        nvmlProcessUtilizationSample_t *sample = &found[there];
        memset(sample, 0, sizeof *sample);
        if (fscanf(file, "%u %llu %u %u %u %u", &sample->pid, &sample->timeStamp, &sample->smUtil, &sample->memUtil, &sample->encUtil, &sample->decUtil) != 6)
            break;
        if (sample->timeStamp > last_seen)
            there++;
    }
    if (file)
        fclose(file);
    unsigned int room = samples ? *count : 0;
    *count = there;
    if (there == 0)
        return NOT_FOUND;
    if (there > room)
        return INSUFFICIENT_SIZE;
    memcpy(samples, found, there * sizeof *found);
    return SUCCESS;
}
