#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "train/cell.h"

int plm_report_progress(int fd, const struct plm_cell_progress *p) {
  char line[256];
  int length = snprintf(line, sizeof line, "progress %lld %lld %.0f %.6g %.9g %.9g %.9g %.6g\n", (long long)p->step,
                        (long long)p->steps, p->tokens, p->tokens_per_second, p->loss_all, p->loss_mask,
                        p->valid_loss_mask, p->seconds);
  return write(fd, line, (size_t)length) == length ? 0 : errno;
}

int plm_report_parse(struct plm_cell_progress *out, const char *line) {
  struct plm_cell_progress p;
  long long step, steps;
  int fields = sscanf(line, "progress %lld %lld %lf %lf %lf %lf %lf %lf", &step, &steps, &p.tokens, &p.tokens_per_second,
                      &p.loss_all, &p.loss_mask, &p.valid_loss_mask, &p.seconds);
  if (fields != 8)
    return 0;
  p.step = step;
  p.steps = steps;
  *out = p;
  return 1;
}
