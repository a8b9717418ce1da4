/* What the system says about the processor, and which kernels it can run. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu.h"

static uint32_t cpus_allowed(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    return (uint32_t)CPU_COUNT(&set);
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 ? (uint32_t)online : 1;
}

/* The value of the first "key : value" line of /proc/cpuinfo; 0 when there is none. */
static int cpuinfo(char *out, size_t room, const char *key) {
  char line[512];
  int found = 0;
  FILE *f = fopen("/proc/cpuinfo", "re");
  if (!f)
    return 0;
  while (!found && fgets(line, sizeof line, f)) {
    const char *value = strchr(line, ':');
    if (strncmp(line, key, strlen(key)) != 0 || !value)
      continue;
    value += 1 + strspn(value + 1, " \t");
    snprintf(out, room, "%.*s", (int)strcspn(value, "\n"), value);
    found = out[0] != '\0';
  }
  fclose(f);
  return found;
}

static int cache_line(char *out, size_t room, int index, const char *file) {
  char path[96];
  snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/%s", index, file);
  FILE *f = fopen(path, "re");
  if (!f)
    return 0;
  int ok = fgets(out, (int)room, f) != NULL;
  fclose(f);
  return ok;
}

/* How many CPUs a list such as "0-3,8" names. */
static uint32_t list_count(const char *list) {
  uint32_t count = 0;
  for (char *end; *list && *list != '\n'; list = *end == ',' ? end + 1 : end) {
    unsigned long first = strtoul(list, &end, 10), last = first;
    if (end == list)
      break;
    if (*end == '-')
      last = strtoul(end + 1, &end, 10);
    count += (uint32_t)(last - first + 1);
  }
  return count;
}

/* The last-level cache, divided among the CPUs that share it, times those this process may use. 0: unknown. */
static uint64_t cache_share(uint32_t cpus) {
  uint64_t bytes = 0, sharers = 1;
  long best = 0;
  char text[512], *end;
  for (int index = 0; cache_line(text, sizeof text, index, "level"); index++) {
    long level = strtol(text, NULL, 10);
    if (level < best || !cache_line(text, sizeof text, index, "type") || text[0] == 'I')
      continue;
    if (!cache_line(text, sizeof text, index, "size"))
      continue;
    uint64_t size = strtoull(text, &end, 10);
    best = level;
    bytes = size << (*end == 'K' ? 10 : *end == 'M' ? 20 : 0);
    sharers = cache_line(text, sizeof text, index, "shared_cpu_list") ? list_count(text) : 1;
  }
  return bytes / (sharers ? sharers : 1) * cpus;
}

void plm_cpu_describe(struct plm_device_info *out) {
  long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  out->kind = PLM_DEVICE_CPU;
  out->compute_units = cpus_allowed();
  out->memory_bytes = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
  out->cache_bytes = cache_share(out->compute_units);
  if (!cpuinfo(out->name, sizeof out->name, "model name"))
    snprintf(out->name, sizeof out->name, "%s", "unnamed processor");
  if (!cpuinfo(out->vendor, sizeof out->vendor, "vendor_id") &&
      !cpuinfo(out->vendor, sizeof out->vendor, "CPU implementer"))
    snprintf(out->vendor, sizeof out->vendor, "%s", "unknown");
  snprintf(out->id, sizeof out->id, "cpu:%.59s", out->name);
}

const struct plm_cpu_kernels *plm_cpu_kernels_choose(const char *isa) {
  int any = strcmp(isa, "auto") == 0;
#if defined(PLM_CPU_X86_64)
  __builtin_cpu_init();
  if ((any || strcmp(isa, "avx512") == 0) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
    return plm_cpu_kernels_avx512();
  if ((any || strcmp(isa, "avx2") == 0) && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return plm_cpu_kernels_avx2();
#endif
  return any || strcmp(isa, "baseline") == 0 ? plm_cpu_kernels_baseline() : NULL;
}
