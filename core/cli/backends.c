#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "cli/cli.h"
#include "runtime/plugin.h"
#include "runtime/probe.h"

#define SECONDS_DEFAULT 20.0
#define OPTION_JSON 1000

struct request {
  int verbose, json;
  double seconds;
  char **paths;
  int path_count;
};

static const struct argp_option options[] = {
    {"verbose", 'v', NULL, 0, "Also where was searched, each plugin's file, version and options", 0},
    {"json", OPTION_JSON, NULL, 0, "Print JSON (schema plmscale.backends/1)", 0},
    {"timeout", 't', "SECONDS", 0, "How long one plugin may take to list its devices (20)", 0},
    {0}};

static error_t parse_option(int key, char *argument, struct argp_state *state) {
  struct request *request = state->input;
  switch (key) {
  case 'v':
    request->verbose = 1;
    return 0;
  case OPTION_JSON:
    request->json = 1;
    return 0;
  case 't':
    if (plm_number_real(&request->seconds, argument, NULL) || request->seconds <= 0 || request->seconds > 86400)
      argp_error(state, "--timeout \"%s\": must be a number of seconds above 0, up to 86400", argument);
    return 0;
  case ARGP_KEY_ARGS:
    request->paths = state->argv + state->next;
    request->path_count = state->argc - state->next;
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp argp = {
    options,
    parse_option,
    "[PATH...]",
    "Lists the backend plugins and their devices, and says why a plugin was refused. Each is loaded in a process of "
    "its own.\v"
    "Searched: the PATHs (files or folders) alone when there are any; else the folders in PLMSCALE_PLUGIN_PATH and the "
    "one that was installed with the program. Exit code 4 when a PATH holds no plugin or one that is not accepted.",
    NULL,
    NULL,
    NULL};

static const char *text_of(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : "";
}

static int is_accepted(const json_t *candidate) { return !strcmp(text_of(candidate, "outcome"), PLM_OUTCOME_ACCEPTED); }

static int probe_all(json_t *out, const struct plm_candidates *found, const struct request *request,
                     struct plm_error *err) {
  int code = 0;
  for (size_t i = 0; i < found->count && !code; i++) {
    json_t *candidate;
    if (request->path_count && !found->items[i].named)
      continue;
    code = plm_probe_run(&candidate, &found->items[i], request->seconds, !request->verbose, err);
    if (!code && json_array_append_new(out, candidate))
      code = plm_error_memory(err, "backend list");
  }
  return code;
}

static void print_device(const json_t *device, size_t index, const char *backend) {
  char memory[32];
  json_int_t bytes = json_integer_value(json_object_get(device, "memory_bytes"));
  plm_number_bytes(memory, sizeof memory, (uint64_t)bytes);
  printf("  %s:%zu  %s, %s%s%s, driver %s %s, id %s\n", backend, index, text_of(device, "name"),
         text_of(device, "kind"), bytes ? ", " : "", bytes ? memory : "", text_of(device, "driver"),
         text_of(device, "driver_version"), text_of(device, "id"));
}

static void print_option(const json_t *option) {
  double minimum = json_real_value(json_object_get(option, "minimum"));
  double maximum = json_real_value(json_object_get(option, "maximum"));
  const char *type = text_of(option, "type");
  int number = !strcmp(type, "integer") || !strcmp(type, "real");
  printf("  option %s = %s  (%s", text_of(option, "name"), text_of(option, "default"), type);
  if (number && minimum < maximum)
    printf(", %g to %g", minimum, maximum);
  printf(") %s\n", text_of(option, "help"));
}

static void print_candidate(const json_t *candidate, int width, int verbose) {
  const json_t *item, *devices = json_object_get(candidate, "devices");
  const char *reason = text_of(candidate, "reason"), *name = text_of(candidate, "name");
  size_t i;
  printf("%-*s  %-8s  %s\n", width, name, text_of(candidate, "outcome"),
         !is_accepted(candidate)         ? reason
         : json_array_size(devices) == 0 ? "found no device"
                                         : text_of(candidate, "version"));
  json_array_foreach(devices, i, item) print_device(item, i, name);
  if (!verbose)
    return;
  printf("  file %s\n", text_of(candidate, "path"));
  if (!is_accepted(candidate))
    return;
  printf("  plugin %s %s, ABI %s, license %s, vendor %s, built with %s\n", text_of(candidate, "plugin"),
         text_of(candidate, "version"), text_of(candidate, "abi"), text_of(candidate, "license"),
         text_of(candidate, "vendor"), text_of(candidate, "compiler"));
  json_array_foreach(json_object_get(candidate, "options"), i, item) print_option(item);
}

static void print_all(const json_t *listing, const struct request *request) {
  const json_t *item, *candidates = json_object_get(listing, "candidates");
  const json_t *folders = json_object_get(listing, "folders");
  int width = 7;
  size_t i;
  json_array_foreach(candidates, i, item) {
    int length = (int)strlen(text_of(item, "name"));
    width = length > width ? length : width;
  }
  if (json_array_size(candidates))
    printf("%-*s  %-8s  %s\n", width, "BACKEND", "OUTCOME", "VERSION, OR WHY NOT");
  else
    puts("no backend plugin was found");
  json_array_foreach(candidates, i, item) print_candidate(item, width, request->verbose);
  if (!request->verbose && json_array_size(candidates))
    return;
  json_array_foreach(folders, i, item) printf("searched %s\n", json_string_value(item));
}

static json_t *listing_create(const struct plm_candidates *found) {
  json_t *folders = json_array();
  for (size_t i = 0; i < found->folder_count && folders; i++)
    if (json_array_append_new(folders, json_string(found->folders[i]))) {
      json_decref(folders);
      return NULL;
    }
  return folders ? json_pack("{s:s, s:[], s:o}", "schema", "plmscale.backends/1", "candidates", "folders", folders)
                 : NULL;
}

/* The exit code is about what the user named; a broken plugin that merely lies in a folder is only listed. */
static int verdict(size_t accepted, size_t total, const struct request *request, struct plm_error *err) {
  if (!request->path_count || (accepted == total && total))
    return 0;
  if (!total)
    return plm_error_set(err, PLM_E_ABI, "no plugin (*.so) in the folder that was named");
  return plm_error_set(err, PLM_E_ABI, "%zu of %zu named plugins not accepted", total - accepted, total);
}

static int list(const struct plm_candidates *found, const struct request *request, struct plm_error *err) {
  json_t *item, *candidates, *listing = listing_create(found);
  size_t i, total, accepted = 0;
  int code;
  if (!listing)
    return plm_error_memory(err, "backend list");
  candidates = json_object_get(listing, "candidates");
  code = probe_all(candidates, found, request, err);
  if (code) {
    json_decref(listing);
    return code;
  }
  total = json_array_size(candidates);
  json_array_foreach(candidates, i, item) accepted += (size_t)is_accepted(item);
  if (request->json) {
    code = plm_cli_print_json(listing, err);
  } else {
    print_all(listing, request);
    json_decref(listing);
  }
  return code ? code : verdict(accepted, total, request, err);
}

int plm_cli_backends(int argc, char **argv, struct plm_error *err) {
  struct request request = {.seconds = SECONDS_DEFAULT};
  struct plm_candidates found;
  int code = plm_cli_parse(&argp, argc, argv, &request, err);
  if (code)
    return code;
  code = plm_plugin_search(&found, (const char *const *)request.paths, (uint32_t)request.path_count, err);
  if (code)
    return code;
  code = list(&found, &request, err);
  plm_candidates_fini(&found);
  return code;
}

int plm_cli_probe(int argc, char **argv, struct plm_error *err) {
  if (argc != 2)
    return plm_error_set(err, PLM_E_USAGE, "usage: %s PATH", argv[0]);
  return plm_probe_answer(argv[1], err);
}
