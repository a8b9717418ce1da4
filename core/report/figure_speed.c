/* Training speed of every run, by who trained it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/figure.h"
#include "report/html.h"

#define PLACES_MAX 6

static const enum plm_colour COLOURS[PLACES_MAX] = {PLM_MAIN, PLM_VERMILLION, PLM_GREEN, PLM_PURPLE, PLM_ORANGE, PLM_SKY};
static const char *const VARIABLES[PLACES_MAX] = {"main", "vermillion", "green", "purple", "orange", "sky"};

/* A backend on a device with a number of threads. */
static int same_place(const struct plm_run *a, const struct plm_run *b) {
  return !strcmp(a->backend, b->backend) && !strcmp(a->device_name, b->device_name) && a->figures.threads == b->figures.threads;
}

struct speed {
  double tokens, flops; /* a second */
};

/* Of the steps that the run did itself, not those it took over from a trunk. */
static int speed_of(struct speed *out, const struct plm_run *run) {
  const struct plm_run_figures *f = &run->figures;
  double seconds = f->seconds - f->trunk_seconds, own = f->steps > 0 ? 1 - f->trunk_steps / f->steps : 0;
  if (!(seconds > 0 && own > 0 && f->tokens > 0 && f->flops_exact > 0))
    return 0;
  *out = (struct speed){own * f->tokens / seconds, own * f->flops_exact / seconds};
  return 1;
}

static size_t places_find(const struct plm_run **out, size_t *beyond, const struct plm_study_runs *runs) {
  size_t count = 0;
  struct speed speed;
  *beyond = 0;
  for (size_t r = 0; r < runs->count; r++) {
    const struct plm_run *run = &runs->runs[r];
    size_t p = 0;
    if (!speed_of(&speed, run))
      continue;
    while (p < count && !same_place(out[p], run))
      p++;
    if (p == count && count < PLACES_MAX)
      out[count++] = run;
    else if (p == count)
      ++*beyond;
  }
  return count;
}

static void runs_write(struct plm_figure *out, const struct plm_run *const *places, size_t count,
                       const struct plm_study_runs *runs, struct plm_panel *left, struct plm_panel *right) {
  struct speed speed;
  char name[PLM_FIGURE_WORD];
  plm_figure_block(out, "runs", "N, tokens a second, FLOP a second, colour, shape, threads, device");
  for (size_t p = 0; p < count; p++)
    for (size_t r = 0; r < runs->count; r++) {
      const struct plm_run *run = &runs->runs[r];
      if (!same_place(places[p], run) || !speed_of(&speed, run))
        continue;
      plm_axis_cover(&left->x, run->figures.n_layers_only);
      plm_axis_cover(&left->y, speed.tokens);
      plm_axis_cover(&right->y, speed.flops);
      plm_text_add(&out->data, "%.7g\t%.6g\t%.6g\t%u", run->figures.n_layers_only, speed.tokens, speed.flops,
                   plm_colour_number(COLOURS[p]));
      plm_text_add(&out->data, "\t%.0fx%.0fx%.0f\t%.0f\t%s\n", run->figures.layers, run->figures.width,
                   run->figures.heads, run->figures.threads, plm_figure_word(name, run->device_name));
    }
}

static void caption_write(struct plm_figure *out, const struct plm_run *const *places, size_t count, size_t beyond) {
  plm_text_add(&out->caption, "Each dot is a run. Left: tokens a second; right: the floating-point operations of its matrix "
                              "products a second, attention included. Over the wall time of the steps that a run "
                              "did itself, evaluations and checkpoints included.");
  for (size_t p = 0; p < count; p++) {
    plm_text_add(&out->caption, " <span class=\"key\"><i style=\"background:var(--%s)\"></i>", VARIABLES[p]);
    plm_html_add(&out->caption, "%s on %s", places[p]->backend, places[p]->device_name);
    plm_text_add(&out->caption, ", %.0f thread%s</span>", places[p]->figures.threads,
                 places[p]->figures.threads == 1 ? "" : "s");
  }
  if (beyond)
    plm_text_add(&out->caption, " %zu runs on further devices are not drawn.", beyond);
  plm_text_add(&out->about, "Tokens a second and FLOP a second of each run against its size, for %zu devices.", count);
}

int plm_figure_speed(struct plm_figure *out, const struct plm_facts *facts, struct plm_error *err) {
  const struct plm_run *places[PLACES_MAX];
  size_t beyond, count = places_find(places, &beyond, &facts->runs);
  struct plm_panel left = {.width = 920, .height = 390, .left = 96, .right = 440, .top = 16, .bottom = 320,
                           .x = plm_axis_empty(PLM_AXIS_COUNT), .y = plm_axis_empty(PLM_AXIS_COUNT)};
  struct plm_panel right = left;
  (void)err;
  if (!count) {
    plm_text_add(&out->absent, "It needs a finished run with its time; this study has none.");
    return 0;
  }
  right.left = 576;
  right.right = 905;
  right.y.kind = PLM_AXIS_POWER;
  runs_write(out, places, count, &facts->runs, &left, &right);
  plm_axis_pad(&left.x, 0.06, 0.06);
  plm_axis_pad(&left.y, 0.1, 0.1);
  plm_axis_pad(&right.y, 0.1, 0.1);
  right.x = left.x;
  plm_figure_begin(out, left.width, left.height);
  plm_text_add(&out->script, "set multiplot\n");
  plm_figure_panel(out, &left, "model size N, parameters of the layers", "tokens/s");
  plm_figure_plot(out, "runs", "using 1:2:4 with points pointtype 7 pointsize 0.9 linecolor rgb variable");
  plm_text_add(&out->script, "\n");
  plm_figure_panel(out, &right, "model size N, parameters of the layers", "FLOP/s");
  plm_figure_plot(out, "runs", "using 1:3:4 with points pointtype 7 pointsize 0.9 linecolor rgb variable");
  plm_text_add(&out->script, "\nunset multiplot");
  caption_write(out, places, count, beyond);
  return 0;
}
