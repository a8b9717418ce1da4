#include "train/opening.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

int plm_opening_load(struct plm_plugin **out, uint32_t *device, const char *text, const struct plm_study *study,
                     uint32_t threads, struct plm_error *err) {
  char *name = NULL, *part = NULL, *path = NULL;
  uint32_t count = 0;
  struct plm_plugin *plugin = NULL;
  struct plm_setting *settings = plm_memory_zeroed(study->backend_option_count, sizeof *settings);
  int code = settings ? plm_plugin_select(&name, &part, text, err) : plm_error_memory(err, "reading settings");
  if (code || (code = plm_plugin_resolve(&path, name, err)))
    goto out;
  for (size_t i = 0; i < study->backend_option_count; i++)
    if (!strcmp(study->backend_options[i].backend, name))
      settings[count++] = (struct plm_setting){study->backend_options[i].key, study->backend_options[i].value};
  if ((code = plm_plugin_load(&plugin, path, settings, count, threads, err)) ||
      (code = plm_plugin_device(device, plugin, part, err)))
    goto out;
  *out = plugin;
  plugin = NULL;
out:
  plm_plugin_destroy(plugin);
  free(settings);
  free(name);
  free(part);
  free(path);
  return code;
}
