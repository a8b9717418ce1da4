#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "study/config_check.h"
#include "study/quote.h"
#include "study/study.h"

#define BACKEND_PREFIX "backend "

/* The NAME of "backend NAME", NULL for another section. */
static const char *backend_name(const char *section) {
  size_t length = strlen(BACKEND_PREFIX);
  if (strncmp(section, BACKEND_PREFIX, length) != 0)
    return NULL;
  section += length;
  return *section && !strpbrk(section, " ") ? section : NULL;
}

static int section_known(const char *section) {
  const char *names[PLM_OPTION_COUNT];
  size_t count = plm_option_sections(names);
  for (size_t i = 0; i < count; i++)
    if (strcmp(names[i], section) == 0)
      return 1;
  return backend_name(section) != NULL;
}

static void check_sections(struct plm_config_draft *draft, const struct plm_ini *ini) {
  const char *names[PLM_OPTION_COUNT];
  size_t count = plm_option_sections(names);
  for (size_t i = 0; i < ini->section_count; i++) {
    const char *name = ini->sections[i].name;
    if (section_known(name))
      continue;
    const char *nearest = plm_error_nearest(name, names, count);
    if (strncmp(name, "backend", 7) == 0)
      plm_ini_complain(&draft->complaints, ini->sections[i].line,
                       "section \"%s\": expected [backend NAME] with one name", name);
    else if (nearest)
      plm_ini_complain(&draft->complaints, ini->sections[i].line, "unknown section \"%s\", did you mean [%s]?", name,
                       nearest);
    else
      plm_ini_complain(&draft->complaints, ini->sections[i].line,
                       "unknown section \"%s\" (known: study, grid, model, data, train, evaluate, run, backend NAME)",
                       name);
  }
}

static void complain_unknown_key(struct plm_config_draft *draft, const struct plm_ini_entry *entry) {
  char quoted[PLM_QUOTE_TEXT];
  const char *keys[PLM_OPTION_COUNT];
  size_t count = plm_option_keys(keys, entry->section);
  const char *nearest = plm_error_nearest(entry->key, keys, count);
  int elsewhere = plm_option_find(NULL, entry->key);
  plm_quote(quoted, entry->key);
  if (elsewhere >= 0)
    plm_ini_complain(&draft->complaints, entry->line, "unknown key %s in [%s], it belongs to [%s]", quoted,
                     entry->section, plm_option_table[elsewhere].section);
  else if (nearest)
    plm_ini_complain(&draft->complaints, entry->line, "unknown key %s in [%s], did you mean \"%s\"?", quoted,
                     entry->section, nearest);
  else
    plm_ini_complain(&draft->complaints, entry->line, "unknown key %s in [%s], see `plmscale options`", quoted,
                     entry->section);
}

static int take_backend_option(struct plm_config_draft *draft, struct plm_study *study, const char *name,
                               const struct plm_ini_entry *entry, struct plm_error *err) {
  char quoted[PLM_QUOTE_TEXT];
  for (size_t i = 0; i < study->backend_option_count; i++) {
    const struct plm_backend_option *other = &study->backend_options[i];
    if (strcmp(other->backend, name) == 0 && strcmp(other->key, entry->key) == 0) {
      plm_ini_complain(&draft->complaints, entry->line, "key %s in [%s] is given twice, first in line %d",
                       plm_quote(quoted, entry->key), entry->section, other->line);
      return 0;
    }
  }
  /* The array was made as long as the file has entries. */
  struct plm_backend_option *option = &study->backend_options[study->backend_option_count++];
  *option = (struct plm_backend_option){strdup(name), strdup(entry->key), strdup(entry->value), entry->line};
  return option->backend && option->key && option->value ? 0 : plm_error_memory(err, "reading a study file");
}

static int take_option(struct plm_config_draft *draft, const struct plm_ini_entry *entry, struct plm_error *err) {
  char quoted[PLM_QUOTE_TEXT];
  int index = plm_option_find(entry->section, entry->key);
  if (index < 0) {
    complain_unknown_key(draft, entry);
    return 0;
  }
  if (draft->line[index]) {
    plm_ini_complain(&draft->complaints, entry->line, "key %s in [%s] is given twice, first in line %d",
                     plm_quote(quoted, entry->key), entry->section, draft->line[index]);
    return 0;
  }
  struct plm_error inner = PLM_ERROR_INIT;
  draft->line[index] = entry->line;
  int code = plm_option_set(draft->config, index, entry->value, &inner);
  if (code == PLM_E_NO_MEMORY)
    *err = inner;
  else if (code)
    plm_config_complain(draft, index, "%s", inner.text);
  return code == PLM_E_NO_MEMORY ? code : 0;
}

static int take_entries(struct plm_config_draft *draft, struct plm_study *study, const struct plm_ini *ini,
                        struct plm_error *err) {
  char quoted[PLM_QUOTE_TEXT];
  int code = 0;
  for (size_t i = 0; i < ini->count && code == 0; i++) {
    const struct plm_ini_entry *entry = &ini->entries[i];
    const char *backend = backend_name(entry->section);
    if (!*entry->section)
      plm_ini_complain(&draft->complaints, entry->line, "key %s stands before the first [section]",
                       plm_quote(quoted, entry->key));
    else if (backend)
      code = take_backend_option(draft, study, backend, entry, err);
    else if (section_known(entry->section))
      code = take_option(draft, entry, err);
    /* Of an unknown section its header was complained about, not every key. */
  }
  return code;
}

static void check_required(struct plm_config_draft *draft) {
  for (int i = 0; i < PLM_OPTION_COUNT; i++) {
    const struct plm_study_option *option = &plm_option_table[i];
    char *const *text = (char *const *)(const void *)((const char *)draft->config + option->offset);
    if (!option->value && !draft->bad[i] && !**text)
      plm_config_complain(draft, i, "is required: %s", option->help);
  }
}

/* path, or folder/path when it is relative. Owned by the caller. */
static char *resolve(const char *folder, const char *path) {
  return *path == '/' || strcmp(folder, ".") == 0 ? strdup(path) : plm_file_join(folder, path);
}

static int resolve_paths(struct plm_study *study, struct plm_error *err) {
  struct plm_config *config = &study->config;
  int code = 0;
  char *folder = plm_file_folder(study->path), *out = NULL;
  if (!folder)
    goto memory;
  if (!*config->study_name) {
    const char *slash = strrchr(study->path, '/');
    const char *file = slash ? slash + 1 : study->path;
    size_t length = strlen(file);
    if (length > 4 && strcmp(file + length - 4, ".ini") == 0)
      length -= 4;
    for (size_t i = 0, step; i < length; i += step) {
      step = plm_ini_utf8_length(file + i, length - i);
      if (step == 0) {
        code =
            plm_error_set(err, PLM_E_USAGE, "study \"%s\": its file name is not UTF-8, set [study] name", study->path);
        goto out;
      }
    }
    free(config->study_name);
    config->study_name = strndup(file, length);
    if (!config->study_name)
      goto memory;
  }
  out = *config->study_out ? strdup(config->study_out) : plm_memory_format("%s.study", config->study_name);
  study->folder = out ? resolve(folder, out) : NULL;
  study->corpus = resolve(folder, config->study_corpus);
  if (study->folder && study->corpus)
    goto out;
memory:
  code = plm_error_memory(err, "reading a study file");
out:
  free(folder);
  free(out);
  return code;
}

/* Everything between the text and the checked configuration. Complaints come back as PLM_E_USAGE, the first in err. */
static int read_config(struct plm_study *study, size_t bytes, struct plm_errors *errors, struct plm_error *err) {
  struct plm_ini ini = {0};
  struct plm_config_draft draft = {
      .config = &study->config, .ini = &ini, .complaints = {study->path, errors, errors->count, 0}};
  int code = plm_option_defaults(&study->config, err);
  if (code == 0)
    code = plm_ini_parse(&ini, study->text, bytes, &draft.complaints, err);
  if (code)
    goto out;
  study->backend_options = plm_memory_zeroed(ini.count, sizeof *study->backend_options);
  if (!study->backend_options) {
    code = plm_error_memory(err, "reading a study file");
    goto out;
  }
  check_sections(&draft, &ini);
  code = take_entries(&draft, study, &ini, err);
  if (code)
    goto out;
  check_required(&draft);
  code = plm_config_check(&draft, err);
  if (code)
    goto out;
  plm_ini_complaints_sort(&draft.complaints);
  if (draft.complaints.count)
    code = plm_error_set(err, PLM_E_USAGE, "%s",
                         errors->count > draft.complaints.start ? errors->lines[draft.complaints.start]
                                                                : "out of memory while collecting errors");
out:
  plm_ini_fini(&ini);
  return code;
}

int plm_study_read(struct plm_study **out, const char *path, struct plm_errors *errors, struct plm_error *err) {
  size_t bytes = 0;
  struct plm_study *study = plm_memory_zeroed(1, sizeof *study);
  if (!study)
    return plm_error_memory(err, "reading a study file");
  int code = plm_file_read(&study->text, &bytes, path, PLM_INI_BYTES_MAX, err);
  if (code)
    goto out;
  study->path = strdup(path);
  if (!study->path) {
    code = plm_error_memory(err, "reading a study file");
    goto out;
  }
  code = read_config(study, bytes, errors, err);
  if (code == 0)
    code = resolve_paths(study, err);
  if (code == 0) {
    *out = study;
    study = NULL;
  }
out:
  plm_study_destroy(study);
  return code;
}

void plm_study_destroy(struct plm_study *study) {
  if (!study)
    return;
  for (size_t i = 0; i < study->backend_option_count; i++) {
    free(study->backend_options[i].backend);
    free(study->backend_options[i].key);
    free(study->backend_options[i].value);
  }
  for (size_t i = 0; i < study->cell_count; i++)
    free(study->cells[i].refused);
  free(study->backend_options);
  free(study->cells);
  plm_option_release(&study->config);
  free(study->path);
  free(study->text);
  free(study->folder);
  free(study->corpus);
  free(study);
}
