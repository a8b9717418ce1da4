#include "report/report_write.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "report/figure.h"
#include "report/gnuplot.h"
#include "report/page.h"
#include "report/svg.h"

#define PAGE "page.html"
#define SVG_MAX (32u << 20)

static const char *const ENDINGS[] = {"tsv", "gp", "svg"};
#define ENDING_COUNT (sizeof ENDINGS / sizeof *ENDINGS)

/* Where everything goes. All owned. */
struct places {
  const char *page;
  char *folder;    /* beside the page, for good */
  char *temporary; /* a folder there, while the report is made */
  char *parent;
};

static int is_folder(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static int places_make(struct places *out, const char *page, struct plm_error *err) {
  size_t length = strlen(page), ending = 0;
  const char *name = strrchr(page, '/') ? strrchr(page, '/') + 1 : page;
  if (!*name || !strcmp(name, ".") || !strcmp(name, "..") || is_folder(page))
    return plm_error_set(err, PLM_E_USAGE, "report \"%.200s\" is a folder; -o takes the name of a file", page);
  if (length > 5 && !strcmp(page + length - 5, ".html"))
    ending = 5;
  else if (length > 4 && !strcmp(page + length - 4, ".htm"))
    ending = 4;
  if (ending >= strlen(name)) /* nothing but an ending */
    ending = 0;
  out->page = page;
  out->folder = plm_memory_format("%.*s.figures", (int)(length - ending), page);
  out->temporary = out->folder ? plm_memory_format("%s.tmp.XXXXXX", out->folder) : NULL;
  out->parent = plm_file_folder(page);
  if (!out->temporary || !out->parent)
    return plm_error_memory(err, "naming the files of a report");
  if (plm_file_exists(out->folder) && !is_folder(out->folder))
    return plm_error_set(err, PLM_E_USAGE, "\"%.200s\" has to be a folder for the figures, and is a file", out->folder);
  if (!mkdtemp(out->temporary)) {
    int code = plm_error_set_system(err, errno, "cannot make a folder in \"%.200s\"", out->parent);
    free(out->temporary);
    out->temporary = NULL;
    return code;
  }
  return 0;
}

/* folder/name.ending; owned by the caller. */
static char *file_of(const char *folder, const char *name, const char *ending) {
  return plm_memory_format("%s/%s.%s", folder, name, ending);
}

static void places_end(struct places *places) {
  size_t count;
  const struct plm_figure_kind *kinds = plm_figure_kinds(&count);
  for (size_t i = 0; places->temporary && i < count * ENDING_COUNT; i++) {
    char *path = file_of(places->temporary, kinds[i / ENDING_COUNT].name, ENDINGS[i % ENDING_COUNT]);
    if (path)
      unlink(path);
    free(path);
  }
  if (places->temporary) {
    char *page = plm_file_join(places->temporary, PAGE);
    if (page)
      unlink(page);
    free(page);
    rmdir(places->temporary);
  }
  free(places->temporary);
  free(places->folder);
  free(places->parent);
}

/* ------------------------------------------------------------ figures */

static int text_keep(const char *folder, const char *name, const char *ending, const struct plm_text *text,
                     struct plm_error *err) {
  int code = plm_text_check(text, "a figure", err);
  char *path = code ? NULL : file_of(folder, name, ending);
  if (code)
    return code;
  code = path ? plm_file_write_atomic(path, text->data ? text->data : "", text->length, err)
              : plm_error_memory(err, "naming a figure");
  free(path);
  return code;
}

static int figure_draw(struct plm_drawn *drawn, const char *folder, const char *gnuplot, struct plm_error *err) {
  const struct plm_figure *figure = &drawn->figure;
  char script[64], *svg = NULL, *path = NULL;
  size_t bytes;
  snprintf(script, sizeof script, "%s.gp", figure->name);
  int code = text_keep(folder, figure->name, "tsv", &figure->data, err);
  if (code || (code = text_keep(folder, figure->name, "gp", &figure->script, err)) ||
      (code = plm_gnuplot_run(gnuplot, folder, script, PLM_GNUPLOT_SECONDS, err)))
    return code;
  path = file_of(folder, figure->name, "svg");
  code = path ? plm_file_read(&svg, &bytes, path, SVG_MAX, err) : plm_error_memory(err, "naming a figure");
  if (!code) {
    const struct plm_svg_about about = {figure->name, figure->title, figure->about.data ? figure->about.data : ""};
    code = plm_svg_inline(&drawn->svg, svg, &about, err);
  }
  free(svg);
  free(path);
  return code;
}

static int figure_make(struct plm_drawn *drawn, const struct plm_figure_kind *kind, const struct places *places,
                       const struct plm_facts *facts, const char *gnuplot, struct plm_error *err) {
  struct plm_figure *figure = &drawn->figure;
  figure->name = kind->name;
  figure->title = kind->title;
  int code = kind->make(figure, facts, err);
  if (!code)
    code = plm_text_check(&figure->absent, "a figure", err);
  if (!code)
    code = plm_text_check(&figure->caption, "a figure", err);
  if (code || figure->absent.length)
    return code;
  plm_text_add(&figure->script, "\n");
  return figure_draw(drawn, places->temporary, gnuplot, err);
}

/* ------------------------------------------------------------ putting it in place */

static int page_keep(const struct places *places, const struct plm_text *text, struct plm_error *err) {
  int code = plm_text_check(text, "the page", err);
  char *path = code ? NULL : plm_file_join(places->temporary, PAGE);
  if (code)
    return code;
  code = path ? plm_file_write_atomic(path, text->data, text->length, err) : plm_error_memory(err, "naming the page");
  free(path);
  return code;
}

/* The three files of a figure; one that was not drawn this time loses those of the last time. */
static int figure_place(const struct places *places, const struct plm_drawn *drawn, struct plm_error *err) {
  int code = 0;
  for (size_t e = 0; !code && e < ENDING_COUNT; e++) {
    char *from = file_of(places->temporary, drawn->figure.name, ENDINGS[e]);
    char *to = file_of(places->folder, drawn->figure.name, ENDINGS[e]);
    if (!from || !to)
      code = plm_error_memory(err, "naming a figure");
    else if (drawn->svg.length ? rename(from, to) : (unlink(to) && errno != ENOENT))
      code = plm_error_set_system(err, errno, "cannot put \"%.200s\" in its place", to);
    free(from);
    free(to);
  }
  return code;
}

static int report_place(const struct places *places, const struct plm_drawn *drawn, size_t count, struct plm_error *err) {
  int code = plm_file_make_folders(places->folder, err);
  for (size_t i = 0; !code && i < count; i++)
    code = figure_place(places, &drawn[i], err);
  if (code)
    return code;
  char *page = plm_file_join(places->temporary, PAGE);
  code = page ? plm_file_commit(page, places->page, err) : plm_error_memory(err, "naming the page");
  free(page);
  return code;
}

int plm_report_write(const char *path, const struct plm_facts *facts, const char *gnuplot, size_t *figures,
                     struct plm_error *err) {
  struct places places = {0};
  struct plm_text text = {0};
  size_t count, good = 0;
  const struct plm_figure_kind *kinds = plm_figure_kinds(&count);
  struct plm_drawn *drawn = plm_memory_zeroed(count, sizeof *drawn);
  int code = drawn ? places_make(&places, path, err) : plm_error_memory(err, "the figures");
  for (size_t i = 0; !code && i < count; i++) {
    code = figure_make(&drawn[i], &kinds[i], &places, facts, gnuplot, err);
    good += drawn[i].svg.length > 0;
  }
  if (!code) {
    const char *name = strrchr(places.folder, '/');
    const struct plm_page page = {.facts = facts,
                                  .drawn = drawn,
                                  .drawn_count = count,
                                  .path = path,
                                  .figures_folder = name ? name + 1 : places.folder};
    plm_page_write(&text, &page);
    code = page_keep(&places, &text, err);
  }
  if (!code)
    code = report_place(&places, drawn, count, err);
  places_end(&places);
  for (size_t i = 0; drawn && i < count; i++) {
    plm_figure_fini(&drawn[i].figure);
    plm_text_fini(&drawn[i].svg);
  }
  free(drawn);
  plm_text_fini(&text);
  if (!code && figures)
    *figures = good;
  return code;
}

char *plm_report_default_path(const struct plm_facts *facts) { return plm_file_join(facts->study->folder, "report.html"); }
