/*
 * A child process that trains one cell (`run-cell`), seen from its parent: started, listened to through the report protocol of
 * cell.h, and judged when it has ended. It is a process group of its own, and is asked to stop (SIGTERM) when the parent dies.
 */
#ifndef PLM_TRAIN_CHILD_H
#define PLM_TRAIN_CHILD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "train/cell.h"

#define PLM_CHILD_LINE 2048

enum plm_child_outcome {
  PLM_CHILD_DONE,    /* said "end done" or "end diverged" and left with 0 */
  PLM_CHILD_STOPPED, /* left with 75: there is a checkpoint */
  PLM_CHILD_BUSY,    /* another process trains this cell */
  PLM_CHILD_FAILED,  /* left with an error */
  PLM_CHILD_CRASHED, /* killed by a signal that was not ours */
  PLM_CHILD_HUNG,    /* killed by us after too long without a sign of life */
  PLM_CHILD_KILLED,  /* killed by us on request */
};
/* "done", "stopped", "busy", "error", "crashed", "hung", "killed". */
const char *plm_child_outcome_name(enum plm_child_outcome outcome);

struct plm_child_end {
  enum plm_child_outcome outcome;
  int code; /* a PLM_E_ code; 0 when done */
  char text[PLM_ERROR_TEXT];
};

struct plm_child {
  pid_t pid;                         /* 0: none */
  int fd;                            /* the report pipe, -1 once it is closed */
  double started, heard;             /* plm_child_clock */
  int hung, killed;                  /* we killed it, and why */
  int said_end;                      /* it reported the end of its cell */
  int reports;                       /* progress lines so far */
  struct plm_cell_progress progress; /* the last one */
  int error_code;                    /* from an error line, else 0 */
  char error[PLM_ERROR_TEXT];
  char line[PLM_CHILD_LINE]; /* an incomplete line */
  size_t used;
  int skipping;    /* a line too long to be one of the protocol is being dropped */
  char *log_path;  /* owned */
  off_t log_start; /* where in the log its own output starts */
};

struct plm_child_options {
  const char *program;          /* NULL: this very program, /proc/self/exe */
  const char *study;            /* path of the INI file */
  const char *cell_id, *folder; /* folder: the cell's, for log.txt */
  const char *device;           /* NAME[:DEVICE] */
  uint32_t threads;
  const char *const *settings; /* NAME.KEY=VALUE, handed on with --set */
  size_t setting_count;
  const char *const *layers; /* handed on with --layer */
  size_t layer_count;
  const char *shadow; /* handed on with --shadow, or NULL */
};

/* Seconds of a monotonic clock. */
double plm_child_clock(void);

/* Starts it: PROGRAM run-cell STUDY ID --backend D --threads T --report-fd 3 [--set S].. [--layer L].. [--shadow B], output appended to FOLDER/log.txt. */
int plm_child_start(struct plm_child *out, const struct plm_child_options *options, struct plm_error *err);

/* Takes in what has been reported, without waiting. */
void plm_child_listen(struct plm_child *child);

/* One line of the protocol, without its newline; anything else is ignored. */
void plm_child_take_line(struct plm_child *child, const char *line);

/* 1 when it has ended (then *out says how and *child is free again), 0 when it is still there. */
int plm_child_reap(struct plm_child_end *out, struct plm_child *child);

/* How it ended, by its wait status and what it said; of one that said nothing the last line of its log is quoted. */
void plm_child_judge(struct plm_child_end *out, const struct plm_child *child, int status);

/* Asks it to stop with a checkpoint; kills it and all it started. */
void plm_child_stop(const struct plm_child *child);
void plm_child_kill(struct plm_child *child);

#endif
