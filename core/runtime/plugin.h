/*
 * Finding and loading backend plugins. Nothing is searched that the user did not name or install: the paths given,
 * then PLMSCALE_PLUGIN_PATH, then the one folder beside the program. Never the current directory.
 */
#ifndef PLM_RUNTIME_PLUGIN_H
#define PLM_RUNTIME_PLUGIN_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "plmscale/backend.h"

/* A key and its value for one backend: from [backend NAME] or --set. */
struct plm_setting {
  const char *name, *value;
};

/*
 * A loaded plugin: the host's own copies of its card and of its table, the table complete: every optional slot is set.
 * What the plugin was given stays valid until the process ends, as the ABI promises, whatever happens to this struct.
 */
struct plm_plugin {
  char *path;                         /* absolute */
  const struct plm_plugin_card *card; /* url, vendor and compiler may be NULL */
  struct plm_backend backend;         /* what everybody calls; layers (layer.h) stand in it */
  struct plm_backend bare;            /* the same without layers */
  struct plm_host host;               /* a copy of what it was given */
  void *library;                      /* dlopen handle */
  void *services;                     /* internal state behind host.context */
};

/*
 * Loads one file and starts the backend: dlopen RTLD_NOW|RTLD_LOCAL, card checks (the message names the differing field),
 * floating-point and locale guard around dlopen and start, v1.0 size checks, required slots by name, options validated
 * against the plugin's table. threads: what host.threads answers (0: all cores). Owned by the caller.
 * PLM_E_ABI, PLM_E_USAGE (settings), PLM_E_DAMAGED (not a shared library), or what start said. Call from one thread.
 */
int plm_plugin_load(struct plm_plugin **out, const char *path, const struct plm_setting *settings, uint32_t setting_count,
                    uint32_t threads, struct plm_error *err);
/* Frees the host's part; the library stays mapped (unloading drivers is not safe). Takes NULL. */
void plm_plugin_destroy(struct plm_plugin *plugin);

/* One candidate file of the search. */
struct plm_candidate {
  char *path;
  char *name; /* file name without .so: how users select before anything is loaded */
  char *skipped; /* why it will not be tried (duplicate name, unsafe permissions, missing), or NULL */
  int named;     /* 1: the user named this file or its folder in extra */
};
struct plm_candidates {
  struct plm_candidate *items;
  size_t count;
  char **folders; /* searched, in order */
  size_t folder_count;
};
/*
 * extra: paths of files or folders that the user named, searched first. Sorted within a folder; first found wins, later ones
 * of the same name are skipped and say so. Empty elements of PLMSCALE_PLUGIN_PATH are ignored, relative ones skipped.
 */
int plm_plugin_search(struct plm_candidates *out, const char *const *extra, uint32_t extra_count, struct plm_error *err);
void plm_candidates_fini(struct plm_candidates *candidates);

/* NAME[:DEVICE] or PATH.so[:DEVICE] split; *device is NULL when absent. Both owned by the caller. */
int plm_plugin_select(char **name, char **device, const char *text, struct plm_error *err);

/* A name as backend.h wants it: lower case letters, digits and _, starting with a letter, at most 63 characters. */
int plm_name_valid(const char *name);

/* The path for a backend name (or a path itself). PLM_E_USAGE lists what is available and the nearest name. Owned by the caller. */
int plm_plugin_resolve(char **out, const char *name, struct plm_error *err);

/* The device of a loaded plugin by index, id, or part of its name (NULL: device 0). PLM_E_USAGE lists what there is. */
int plm_plugin_device(uint32_t *out, const struct plm_plugin *plugin, const char *device, struct plm_error *err);

/* Describes device index: strings are ended, the ambient state is guarded. PLM_E_ABI, or what device_info said. */
int plm_plugin_describe(struct plm_device_info *out, const struct plm_plugin *plugin, uint32_t index,
                        struct plm_error *err);

/* How many devices there are, the ambient state guarded. */
int plm_plugin_device_count(uint32_t *out, const struct plm_plugin *plugin, struct plm_error *err);

/*
 * The floating-point environment and locale of the calling thread, and what SIGINT and SIGTERM do (the host stops with a
 * checkpoint on them), compared around everything foreign. Other signals are the driver's own affair: PoCL 3.1 handles SIGFPE.
 * take; then check fills err (PLM_E_ABI) naming what changed and where ("dlopen of FILE"), after restoring it.
 */
struct plm_guard {
  uint64_t control; /* MXCSR or FPCR without status flags */
  int rounding;
  void *thread_locale; /* uselocale */
  struct sigaction interrupt, terminate;
  char locale[512];
};
void plm_guard_take(struct plm_guard *out);
int plm_guard_check(const struct plm_guard *guard, const char *where, struct plm_error *err);

#endif
