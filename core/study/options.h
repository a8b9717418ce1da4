/*
 * The one table of study options: it makes the struct, the INI checks, `plmscale init`, and docs/options.md.
 * X(section, key, KIND, unit, minimum, maximum, default, help)
 * KIND: TEXT (char *), INTEGER (int64_t), REAL (double), BOOLEAN (int), CHOICE (int, index into unit = "a|b|c"),
 * LIST (char *: a grid expression). minimum = maximum: unchecked. A default of NULL means required; "" means empty.
 */
#ifndef PLM_STUDY_OPTIONS_H
#define PLM_STUDY_OPTIONS_H

#define PLM_OPTIONS(X)                                                                                                                      \
  X(study, name, TEXT, "", 0, 0, "", "name of the study; empty: the file's name without .ini")                                               \
  X(study, out, TEXT, "path", 0, 0, "", "results folder; empty: NAME.study beside the file")                                                 \
  X(study, corpus, TEXT, "path", 0, 0, NULL, "corpus made by `plmscale data build`, relative to this file")                                  \
  X(study, seeds, LIST, "", 0, 0, "1", "one run of every cell for each seed")                                                                \
  X(grid, mode, CHOICE, "grid|zip|isoflop", 0, 0, "isoflop",                                                                                 \
    "grid: sizes x tokens; zip: sizes and tokens pairwise; isoflop: compute budgets x sizes, tokens = C/(6N)")                               \
  X(grid, sizes, LIST, "parameters or LxDxH", 0, 0, "",                                                                                      \
    "layers-only parameter counts or shapes like 6x320x20; isoflop: empty means points_per_budget around center")                           \
  X(grid, tokens, LIST, "tokens", 0, 0, "", "token counts (residues plus <cls> and <eos>); modes grid and zip")                              \
  X(grid, compute, LIST, "FLOP", 0, 0, "", "budgets C = 6 N D with N layers only; mode isoflop")                                             \
  X(grid, points_per_budget, INTEGER, "", 3, 100, "7", "sizes per budget when sizes is empty")                                               \
  X(grid, center, REAL, "parameters", 0, 1e15, "0", "middle size at the first budget when sizes is empty; 0: not given")                     \
  X(grid, center_exponent, REAL, "", -1, 2, "0.5", "growth of the middle size with compute when sizes is empty")                             \
  X(grid, spread, REAL, "factor", 1.1, 1000, "8", "largest over middle size, and middle over smallest, when sizes is empty")                 \
  X(grid, run_cap, INTEGER, "cells", 1, 1000000, "500", "refuse a grid with more cells than this")                                           \
  X(grid, tokens_min, REAL, "tokens", 0, 1e18, "0", "cells with fewer tokens are refused (listed, not run)")                                 \
  X(grid, epochs_max, REAL, "epochs", 0, 1e9, "0", "cells that pass over the corpus more often are refused; 0: no limit")                    \
  X(model, head_size, INTEGER, "", 2, 256, "16", "width of one attention head when sizes are parameter counts; even")                        \
  X(model, init_std, REAL, "", 0, 10, "0.02", "standard deviation of initial weights; 0: 1/sqrt(fan-in) for matrices")                       \
  X(model, parametrization, CHOICE, "standard|mup", 0, 0, "standard",                                                                        \
    "mup: initial weights, rates, logits and attention scale with width, so that one learning rate fits all widths")                         \
  X(model, base_width, INTEGER, "", 0, 1000000, "0", "mup: the width at which it equals the standard parametrization; 0: not given")         \
  X(data, length_max, INTEGER, "tokens", 8, 65536, "1024", "longest sequence with <cls> and <eos>; longer ones are cropped at random")       \
  X(data, pool, INTEGER, "sequences", 1, 1000000, "1024", "look-ahead for packing batches by best fit")                                      \
  X(data, mask_rate, REAL, "fraction", 0.001, 0.9, "0.15", "share of residues selected for prediction")                                      \
  X(data, mask_token, REAL, "fraction", 0, 1, "0.8", "share of the selected that become <mask>")                                             \
  X(data, mask_random, REAL, "fraction", 0, 1, "0.1", "share of the selected that become a random residue; the rest stays")                  \
  X(train, batch_tokens, INTEGER, "tokens", 64, 1e9, "8192", "tokens per optimizer step; micro-batches are the program's choice")            \
  X(train, lr, TEXT, "", 0, 0, "rule", "peak learning rate; `rule`: lr_at_1m * (N/1e6)^lr_exponent, N layers only; one for each size: 2x32x2: 4e-3, 300k: 2e-3; or `sweep`: by small runs at rates about the rule's") \
  X(train, lr_at_1m, REAL, "", 1e-9, 10, "2e-3", "learning rate of the rule at one million parameters")                                      \
  X(train, lr_exponent, REAL, "", -2, 2, "-0.2", "exponent of the rule")                                                                     \
  X(train, lr_max, REAL, "", 1e-9, 10, "2e-2", "upper bound of the rule")                                                                    \
  X(train, sweep_factors, LIST, "times the rule's rate", 0, 0, "0.25, 0.5, 1, 2, 4", "lr = sweep: the rates that every size tries")                \
  X(train, sweep_tokens, REAL, "tokens or share", 1e-6, 1e15, "0.25",                                                                        \
    "lr = sweep: length of its runs; up to 1: as a share of the size's shortest cell")                                                       \
  X(train, sweep_seed, INTEGER, "", 0, 9007199254740992.0, "1", "lr = sweep: seed of its runs")                                              \
  X(train, schedule, CHOICE, "auto|constant|linear|cosine|wsd", 0, 0, "auto",                                                                \
    "after warm-up: to lr_final by the end; wsd: constant, then 1-sqrt cooldown; auto: wsd when sizes have several token counts, else cosine") \
  X(train, lr_final, REAL, "fraction of lr", 0, 1, "0.1", "where linear and cosine end (wsd ends at 0)")                                     \
  X(train, warmup, REAL, "fraction of steps", 0, 1, "0.1", "linear warm-up, of a cell's steps; wsd: of those of the size's shortest cell")   \
  X(train, warmup_steps, INTEGER, "steps", 0, 1e9, "0", "linear warm-up in steps, the same for every cell; 0: by warmup")                    \
  X(train, cooldown, REAL, "fraction of steps", 0, 1, "0.2", "length of the wsd cooldown")                                                   \
  X(train, clip, REAL, "", 0, 1e9, "1", "clip the global gradient norm here; 0: never")                                                      \
  X(train, weight_decay, REAL, "", 0, 10, "0.01", "AdamW decay of matrices (biases and norms have none)")                                    \
  X(train, beta1, REAL, "", 0, 0.9999999, "0.9", "AdamW first moment")                                                                       \
  X(train, beta2, REAL, "", 0, 0.9999999, "0.98", "AdamW second moment")                                                                     \
  X(train, epsilon, REAL, "", 1e-30, 1, "1e-8", "AdamW epsilon")                                                                             \
  X(train, smoothing, REAL, "fraction of steps", 0, 1, "0.05", "final training loss: mean over this last share of the steps")                \
  X(evaluate, tokens, INTEGER, "tokens", 1, 1e12, "200k", "size of the fixed validation set (the whole split when it is smaller)")           \
  X(evaluate, count, INTEGER, "", 1, 100000, "5", "evaluations per run, evenly spaced, the last at the end; wsd: in every tenfold of the steps after warm-up, and at the end")                             \
  X(run, devices, TEXT, "", 0, 0, "cpu", "devices NAME[:DEVICE], comma-separated; a device may be named more than once")                     \
  X(run, threads, INTEGER, "", 0, 4096, "0", "CPU threads per running cell; 0: cores divided by the number of devices")                      \
  X(run, checkpoint_seconds, REAL, "s", 0.1, 1e9, "60", "time between checkpoints")                                                          \
  X(run, record_every, INTEGER, "steps", 1, 1000000, "16", "read losses back from the device every so many steps")                           \
  X(run, micro_tokens, INTEGER, "tokens", 0, 1e9, "0", "tokens per micro-batch; 0: by the device's cache and memory")                        \
  X(run, self_check, BOOLEAN, "", 0, 0, "yes", "before a cell is trained, compare the device's matrix ops with the reference; recorded")        \
  X(run, trunks, BOOLEAN, "", 0, 0, "yes", "wsd: steps that cells of one size and seed have in common are trained once; changes no result")   \
  X(run, hang_seconds, REAL, "s", 1, 1e9, "300", "a cell without a sign of life for so long is stopped and reported")

#endif
