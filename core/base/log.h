/* The log on stderr: one line an entry, "plmscale: [level: ]text". Thread-safe. */
#ifndef PLM_BASE_LOG_H
#define PLM_BASE_LOG_H

#include <stdint.h>

/* Highest level shown, PLM_LOG_ERROR .. PLM_LOG_DEBUG; PLM_LOG_INFO at start. */
void plm_log_level_set(uint32_t level);

/* Writes one line at level (PLM_LOG_). While a progress bar is up, the bar is cleared first. */
void plm_log(uint32_t level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * One status line at the bottom of a terminal (bar), or one plain line each time at least
 * interval seconds have passed (pipe). text NULL removes the bar. force writes regardless of rate.
 */
void plm_log_progress(const char *text, int force);

/* How progress is shown: automatic follows isatty(stderr). */
#define PLM_PROGRESS_AUTO 0
#define PLM_PROGRESS_BAR 1
#define PLM_PROGRESS_PLAIN 2
#define PLM_PROGRESS_NONE 3
void plm_log_progress_mode(int mode);

/* A filled bar like "[#####-----]" of width characters for fraction 0..1 into out (width + 3 bytes). */
void plm_log_bar(char *out, int width, double fraction);

#endif
