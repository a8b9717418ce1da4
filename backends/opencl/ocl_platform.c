/* Which devices there are: platforms that are broken or empty, and devices that cannot compute, are said and skipped. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "opencl.h"
#include "plmscale/op_rules.h"

#define DEVICES_MAX 64
#define PLATFORMS_MAX 32

/* Queries of extensions that may be missing from the system's headers. */
#define QUERY_UUID_KHR 0x106a             /* cl_khr_device_uuid: 16 bytes */
#define QUERY_PCI_KHR 0x410f              /* cl_khr_pci_bus_info: four cl_uint */
#define QUERY_PCI_BUS_NV 0x4008           /* cl_nv_device_attribute_query: cl_uint */
#define QUERY_PCI_SLOT_NV 0x4009          /* device number << 3 | function */
#define QUERY_PCI_DOMAIN_NV 0x400a
#define QUERY_TOPOLOGY_AMD 0x4037         /* cl_amd_device_attribute_query: 24 bytes, type 1 is PCIe */

static struct {
  int looked;
  uint32_t count;
  struct ocl_found devices[DEVICES_MAX];
} list;

void ocl_log(const struct plm_host *host, uint32_t level, const char *format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  host->log(host->context, level, text);
}

static void platform_text(char *out, size_t room, cl_platform_id platform, cl_platform_info what) {
  out[0] = '\0';
  if (clGetPlatformInfo(platform, what, room - 1, out, NULL))
    snprintf(out, room, "%s", "?");
  out[room - 1] = '\0';
}

/* Text that is longer than the room is an error to OpenCL: then asked for whole and cut. */
static void device_text(char *out, size_t room, cl_device_id id, cl_device_info what) {
  char whole[1024] = "";
  if (clGetDeviceInfo(id, what, sizeof whole - 1, whole, NULL))
    whole[0] = '\0';
  const char *begin = whole + strspn(whole, " ");
  size_t length = strlen(begin);
  while (length > 0 && begin[length - 1] == ' ')
    length--;
  snprintf(out, room, "%.*s", (int)length, begin);
}

static int has_extension(cl_device_id id, const char *name) {
  char extensions[8192] = "";
  if (clGetDeviceInfo(id, CL_DEVICE_EXTENSIONS, sizeof extensions - 1, extensions, NULL))
    return 0;
  const size_t length = strlen(name);
  for (const char *at = extensions; (at = strstr(at, name)); at += length)
    if ((at == extensions || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
      return 1;
  return 0;
}

/* "0000:01:00.0", as lspci writes it; 0 when the driver does not tell. */
static int pci_address(char out[16], cl_device_id id) {
  struct {
    cl_uint domain, bus, device, function;
  } pci = {0};
  unsigned char topology[24] = {0};
  cl_uint slot = 0;
  cl_uint type = 0;
  if (has_extension(id, "cl_khr_pci_bus_info") && !clGetDeviceInfo(id, QUERY_PCI_KHR, sizeof pci, &pci, NULL)) {
    /* told */
  } else if (has_extension(id, "cl_nv_device_attribute_query") &&
             !clGetDeviceInfo(id, QUERY_PCI_BUS_NV, sizeof pci.bus, &pci.bus, NULL) &&
             !clGetDeviceInfo(id, QUERY_PCI_SLOT_NV, sizeof slot, &slot, NULL)) {
    if (clGetDeviceInfo(id, QUERY_PCI_DOMAIN_NV, sizeof pci.domain, &pci.domain, NULL))
      pci.domain = 0;
    pci.device = slot >> 3;
    pci.function = slot & 7;
  } else if (has_extension(id, "cl_amd_device_attribute_query") &&
             !clGetDeviceInfo(id, QUERY_TOPOLOGY_AMD, sizeof topology, topology, NULL) &&
             (memcpy(&type, topology, sizeof type), type == 1)) {
    pci.bus = topology[21];
    pci.device = topology[22];
    pci.function = topology[23];
  } else {
    return 0;
  }
  snprintf(out, 16, "%04x:%02x:%02x.%x", pci.domain & 0xffffu, pci.bus & 0xffu, pci.device & 0x1fu, pci.function & 7u);
  return 1;
}

static int uuid_text(char out[40], cl_device_id id) {
  unsigned char u[16];
  if (!has_extension(id, "cl_khr_device_uuid") || clGetDeviceInfo(id, QUERY_UUID_KHR, sizeof u, u, NULL))
    return 0;
  snprintf(out, 40, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1], u[2], u[3],
           u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
  return 1;
}

/* PCI address and UUID where there are such, else a text from platform, name and how many like it came before. */
static void identify(struct ocl_found *found) {
  char pci[16], uuid[40];
  struct plm_device_info *info = &found->info;
  const int has_pci = pci_address(pci, found->id), has_uuid = uuid_text(uuid, found->id);
  if (has_pci || has_uuid) {
    snprintf(info->id, sizeof info->id, "%s%s%s", has_pci ? pci : "", has_pci && has_uuid ? " " : "",
             has_uuid ? uuid : "");
    return;
  }
  uint32_t like = 0;
  for (uint32_t i = 0; i < list.count; i++)
    like += list.devices[i].platform == found->platform && !strcmp(list.devices[i].info.name, info->name);
  snprintf(info->id, sizeof info->id, "%.14s:%.40s:%" PRIu32, found->platform_name, info->name, like);
  for (char *c = info->id; *c; c++)
    if (*c == ' ')
      *c = '_';
}

static uint32_t kind_of(cl_device_type type) {
  return type & CL_DEVICE_TYPE_CPU ? PLM_DEVICE_CPU : type & CL_DEVICE_TYPE_GPU ? PLM_DEVICE_GPU : PLM_DEVICE_OTHER;
}

/* Why a device cannot be used, NULL when it can. */
static const char *why_not(cl_device_id id) {
  cl_bool available = CL_FALSE, compiler = CL_FALSE, little = CL_FALSE;
  char version[128];
  int major = 0, minor = 0;
  device_text(version, sizeof version, id, CL_DEVICE_VERSION);
  if (sscanf(version, "OpenCL %d.%d", &major, &minor) != 2 || major * 10 + minor < 12)
    return "OpenCL 1.2 or newer is needed";
  if (clGetDeviceInfo(id, CL_DEVICE_AVAILABLE, sizeof available, &available, NULL) || !available)
    return "the driver says that it is not available";
  if (clGetDeviceInfo(id, CL_DEVICE_COMPILER_AVAILABLE, sizeof compiler, &compiler, NULL) || !compiler)
    return "the driver has no compiler";
  if (clGetDeviceInfo(id, CL_DEVICE_ENDIAN_LITTLE, sizeof little, &little, NULL) || !little)
    return "its byte order is not this host's";
  return NULL;
}

static void describe(struct ocl_found *found) {
  struct plm_device_info *info = &found->info;
  cl_device_type type = 0;
  cl_uint units = 0;
  cl_ulong memory = 0, most = 0, cache = 0;
  *info = (struct plm_device_info){.struct_size = sizeof *info};
  clGetDeviceInfo(found->id, CL_DEVICE_TYPE, sizeof type, &type, NULL);
  clGetDeviceInfo(found->id, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, NULL);
  clGetDeviceInfo(found->id, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof memory, &memory, NULL);
  clGetDeviceInfo(found->id, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof most, &most, NULL);
  clGetDeviceInfo(found->id, CL_DEVICE_GLOBAL_MEM_CACHE_SIZE, sizeof cache, &cache, NULL);
  info->kind = kind_of(type);
  info->compute_units = units;
  info->memory_bytes = memory;
  info->buffer_bytes_max = most;
  info->cache_bytes = info->kind == PLM_DEVICE_CPU ? cache : 0;
  device_text(info->name, sizeof info->name, found->id, CL_DEVICE_NAME);
  device_text(info->vendor, sizeof info->vendor, found->id, CL_DEVICE_VENDOR);
  device_text(info->driver_version, sizeof info->driver_version, found->id, CL_DRIVER_VERSION);
  snprintf(info->driver, sizeof info->driver, "%.63s", found->platform_name);
  identify(found);
}

static void add_platform(const struct plm_host *host, cl_platform_id platform) {
  char name[128];
  cl_device_id ids[DEVICES_MAX];
  cl_uint count = 0;
  platform_text(name, sizeof name, platform, CL_PLATFORM_NAME);
  const cl_int code = clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, DEVICES_MAX, ids, &count);
  if (code || count == 0) {
    ocl_log(host, PLM_LOG_DEBUG, "platform \"%s\" is skipped: no device (%s)", name,
            ocl_code_name(code ? code : CL_DEVICE_NOT_FOUND));
    return;
  }
  for (cl_uint i = 0; i < count && i < DEVICES_MAX; i++) {
    struct ocl_found *found = &list.devices[list.count];
    char device[128];
    const char *reason = why_not(ids[i]);
    device_text(device, sizeof device, ids[i], CL_DEVICE_NAME);
    if (!reason && list.count == DEVICES_MAX)
      reason = "there are more devices than this backend lists";
    if (reason) {
      ocl_log(host, PLM_LOG_INFO, "device \"%s\" of platform \"%s\" is skipped: %s", device, name, reason);
      continue;
    }
    *found = (struct ocl_found){.platform = platform, .id = ids[i]};
    snprintf(found->platform_name, sizeof found->platform_name, "%s", name);
    describe(found);
    list.count++;
  }
}

static int look(const struct plm_host *host, struct plm_error *err) {
  cl_platform_id platforms[PLATFORMS_MAX];
  cl_uint found = 0;
  const cl_int code = clGetPlatformIDs(PLATFORMS_MAX, platforms, &found);
  if (code && ocl_code_class(code) != PLM_E_UNSUPPORTED)
    return ocl_fail(err, NULL, NULL, NULL, code, "clGetPlatformIDs");
  if (code || found == 0)
    ocl_log(host, PLM_LOG_INFO, "no OpenCL platform (%s): is a driver's ICD file in /etc/OpenCL/vendors?",
            ocl_code_name(code ? code : CL_DEVICE_NOT_FOUND));
  for (cl_uint i = 0; i < found && i < PLATFORMS_MAX && !code; i++)
    add_platform(host, platforms[i]);
  return PLM_OK;
}

int ocl_list(const struct plm_host *host, const struct ocl_found **out, uint32_t *count, struct plm_error *err) {
  if (!list.looked) {
    struct ocl_ambient ambient;
    ocl_ambient_take(&ambient);
    const int code = look(host, err);
    ocl_ambient_restore(&ambient);
    if (code)
      return code;
    list.looked = 1;
  }
  *out = list.devices;
  *count = list.count;
  return PLM_OK;
}
