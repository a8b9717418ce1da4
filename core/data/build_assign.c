#include "data/build_state.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

unsigned plm_build_mark(const struct plm_build *build, uint64_t index) {
  return build->marks[index / 4] >> (index % 4 * 2) & 3u;
}

void plm_build_mark_set(struct plm_build *build, uint64_t index, unsigned mark) {
  unsigned shift = (unsigned)(index % 4 * 2);
  uint8_t *byte = &build->marks[index / 4];
  *byte = (uint8_t)((*byte & ~(3u << shift)) | mark << shift);
}

/* The split that (seed, hash) falls into. */
static int draw_split(const struct plm_corpus_build_options *options, uint64_t hash) {
  double u = plm_rng_uniform(options->seed, PLM_RNG_SPLIT, (uint32_t)hash, (uint32_t)(hash >> 32), 0);
  if (u < options->valid)
    return PLM_SPLIT_VALID;
  return u < options->valid + options->test ? PLM_SPLIT_TEST : PLM_SPLIT_TRAIN;
}

static void keep(struct plm_build *build, uint64_t index, uint64_t length, int split) {
  plm_build_mark_set(build, index, (unsigned)split);
  build->sequences[split]++;
  build->residues[split] += length;
  build->counts.kept++;
  build->counts.residues_kept += length;
}

/* Valid before test before train, so that the first of equal ones is the one to keep. */
static uint32_t rank(uint32_t split) { return split == PLM_SPLIT_TRAIN ? PLM_SPLIT_COUNT : split; }

static int compare_sequences(const void *left, const void *right) {
  const struct plm_build_sequence *a = left, *b = right;
  if (a->high != b->high)
    return a->high < b->high ? -1 : 1;
  if (a->low != b->low)
    return a->low < b->low ? -1 : 1;
  if (a->length != b->length)
    return a->length < b->length ? -1 : 1;
  if (rank(a->split) != rank(b->split))
    return rank(a->split) < rank(b->split) ? -1 : 1;
  return a->index < b->index ? -1 : a->index > b->index;
}

static int same_residues(const struct plm_build_sequence *a, const struct plm_build_sequence *b) {
  return a->high == b->high && a->low == b->low && a->length == b->length;
}

/* Keeps the first of every run of equal sequences. With a cluster table the split of those from inputs is decided
 * later. */
static void drop_duplicates(struct plm_build *build, const struct plm_build_sequence *sequences, size_t count) {
  const struct plm_build_sequence *first = NULL;
  for (size_t i = 0; i < count; i++) {
    const struct plm_build_sequence *sequence = &sequences[i];
    int from_input = sequence->split == PLM_SPLIT_TRAIN;
    if (first != NULL && same_residues(first, sequence)) {
      plm_build_mark_set(build, sequence->index, PLM_MARK_DROPPED);
      if (from_input && first->split != PLM_SPLIT_TRAIN)
        build->counts.dropped_held_out++;
      else
        build->counts.dropped_duplicate++;
      continue;
    }
    first = sequence;
    if (!from_input)
      keep(build, sequence->index, sequence->length, (int)sequence->split);
    else if (build->table == NULL)
      keep(build, sequence->index, sequence->length, draw_split(build->options, sequence->high));
  }
}

static int compare_indices(const void *left, const void *right) {
  const struct plm_build_name *a = left, *b = right;
  return a->index < b->index ? -1 : a->index > b->index;
}

/* Assigns one partition of names; the smallest index without a cluster goes to *missing. */
static void assign_clusters(struct plm_build *build, struct plm_build_name *names, size_t count,
                            const struct plm_cluster_entry *entries, size_t entry_count, uint64_t *missing) {
  qsort(names, count, sizeof *names, compare_indices);
  for (size_t i = 0; i < count; i++) {
    if (plm_build_mark(build, names[i].index) == PLM_MARK_DROPPED)
      continue;
    const struct plm_cluster_entry *entry = plm_clusters_find(entries, entry_count, names[i].name);
    uint64_t cluster = entry != NULL ? entry->cluster : names[i].name.high;
    if (entry == NULL && names[i].index < *missing)
      *missing = names[i].index;
    build->counts.clusters_missing += entry == NULL;
    keep(build, names[i].index, names[i].length, draw_split(build->options, cluster));
  }
}

static int fail_missing(struct plm_build *build, uint64_t index, struct plm_error *err) {
  struct plm_spill_record record;
  int code = plm_spill_rewind(build->spill, err);
  for (uint64_t i = 0; i <= index && code == 0; i++)
    code = plm_spill_next(build->spill, &record, err);
  if (code != 0)
    return code;
  return plm_error_set(
      err, PLM_E_DAMAGED,
      "%s:%llu: sequence \"%.80s\" has no entry in \"%s\", as have %llu in all; --clusters-missing own "
      "makes each its own cluster",
      plm_build_source_name(&build->sources[record.source]), (unsigned long long)record.line, record.name,
      build->options->clusters, (unsigned long long)build->counts.clusters_missing);
}

static int join_clusters(struct plm_build *build, struct plm_error *err) {
  uint64_t missing = UINT64_MAX;
  for (uint32_t p = 0; p < PLM_PARTITIONS; p++) {
    void *names, *entries;
    size_t name_count, entry_count;
    int code = plm_partition_load(build->by_name, p, &names, &name_count, err);
    if (code == 0)
      code = plm_partition_load(build->table, p, &entries, &entry_count, err);
    if (code == 0)
      code = plm_clusters_sort(entries, entry_count, build->options->clusters, err);
    if (code != 0)
      return code;
    assign_clusters(build, names, name_count, entries, entry_count, &missing);
    plm_build_progress(build, "clusters", p + 1, PLM_PARTITIONS, 0);
  }
  if (missing != UINT64_MAX && !build->options->clusters_missing_own)
    return fail_missing(build, missing, err);
  return 0;
}

int plm_build_assign(struct plm_build *build, struct plm_error *err) {
  for (uint32_t p = 0; p < PLM_PARTITIONS; p++) {
    void *sequences;
    size_t count;
    int code = plm_partition_load(build->by_residues, p, &sequences, &count, err);
    if (code != 0)
      return code;
    qsort(sequences, count, sizeof(struct plm_build_sequence), compare_sequences);
    drop_duplicates(build, sequences, count);
    plm_build_progress(build, "duplicates", p + 1, PLM_PARTITIONS, 0);
  }
  return build->table != NULL ? join_clusters(build, err) : 0;
}
