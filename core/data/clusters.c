#include "data/clusters.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/memory.h"
#include "data/source.h"

#define LINE_MAX_BYTES 65536u

struct table {
  struct plm_source *source;
  struct plm_partition *partition;
  uint32_t column;
  uint64_t line, entries;
  char text[LINE_MAX_BYTES]; /* the line being put together */
  size_t bytes;
};

struct plm_name_hash plm_clusters_key(const char *name, size_t bytes) {
  const char *blank = memchr(name, ' ', bytes);
  if (blank != NULL)
    bytes = (size_t)(blank - name);
  if (bytes > 3 && (memcmp(name, "sp|", 3) == 0 || memcmp(name, "tr|", 3) == 0)) {
    const char *bar = memchr(name + 3, '|', bytes - 3);
    if (bar != NULL && bar > name + 3) {
      bytes = (size_t)(bar - name) - 3;
      name += 3;
    }
  }
  XXH128_hash_t hash = XXH3_128bits(name, bytes);
  return (struct plm_name_hash){hash.low64, hash.high64};
}

/* Column number (from 1) of the line; NULL when it has fewer. */
static const char *find_column(const struct table *table, uint32_t number, size_t *bytes) {
  const char *at = table->text, *end = table->text + table->bytes;
  for (uint32_t i = 1;; i++) {
    const char *tab = memchr(at, '\t', (size_t)(end - at));
    const char *stop = tab != NULL ? tab : end;
    if (i == number) {
      *bytes = (size_t)(stop - at);
      return at;
    }
    if (tab == NULL)
      return NULL;
    at = tab + 1;
  }
}

static int take_line(struct table *table, struct plm_error *err) {
  if (table->bytes > 0 && table->text[table->bytes - 1] == '\r')
    table->bytes--;
  int is_header = table->column != 0 && table->line == 1;
  if (table->bytes == 0 || is_header)
    return 0;
  uint32_t name_column = table->column == 0 ? 2 : 1, cluster_column = table->column == 0 ? 1 : table->column;
  size_t name_bytes = 0, cluster_bytes = 0;
  const char *name = find_column(table, name_column, &name_bytes);
  const char *cluster = find_column(table, cluster_column, &cluster_bytes);
  if (name == NULL || cluster == NULL || name_bytes == 0 || cluster_bytes == 0)
    return plm_error_set(err, PLM_E_DAMAGED,
                         "%s:%llu: no name in column %u or no cluster in column %u (columns are separated by tabs)",
                         plm_source_name(table->source), (unsigned long long)table->line, name_column, cluster_column);
  struct plm_cluster_entry entry = {plm_clusters_key(name, name_bytes), XXH3_64bits(cluster, cluster_bytes),
                                    table->line};
  table->entries++;
  return plm_partition_add(table->partition, entry.name.high, &entry, err);
}

static int take_piece(struct table *table, const char *data, size_t bytes, struct plm_error *err) {
  const char *limit = data + bytes;
  while (data < limit) {
    const char *end = memchr(data, '\n', (size_t)(limit - data));
    size_t part = (size_t)((end != NULL ? end : limit) - data);
    if (part > LINE_MAX_BYTES - table->bytes)
      return plm_error_set(err, PLM_E_DAMAGED, "%s:%llu: line longer than %u bytes", plm_source_name(table->source),
                           (unsigned long long)table->line, LINE_MAX_BYTES);
    memcpy(table->text + table->bytes, data, part);
    table->bytes += part;
    data += part;
    if (end != NULL) {
      int code = take_line(table, err);
      if (code != 0)
        return code;
      table->line++;
      table->bytes = 0;
      data++;
    }
  }
  return 0;
}

static int read_table(struct table *table, struct plm_error *err) {
  for (;;) {
    const char *data;
    size_t bytes;
    int code = plm_source_read(table->source, &data, &bytes, table->line, err);
    if (code == 0)
      code = bytes > 0 ? take_piece(table, data, bytes, err) : take_line(table, err);
    if (code != 0)
      return code;
    if (bytes == 0)
      break;
  }
  if (table->entries == 0)
    return plm_error_set(err, PLM_E_DAMAGED, "%s:1: a cluster table without entries", plm_source_name(table->source));
  return 0;
}

int plm_clusters_read(struct plm_partition **out, uint64_t *entries, char sha256[PLM_SHA256_TEXT], const char *path,
                      uint32_t column, const char *output, struct plm_error *err) {
  struct table *table = plm_memory_zeroed(1, sizeof *table);
  if (table == NULL)
    return plm_error_memory(err, "a cluster table");
  table->column = column;
  table->line = 1;
  int code = plm_source_open(&table->source, path, err);
  if (code == 0)
    code = plm_partition_create(&table->partition, output, "clusters", sizeof(struct plm_cluster_entry), err);
  if (code == 0)
    code = read_table(table, err);
  if (code == 0)
    code = plm_source_digest(table->source, sha256, err);
  if (code == 0) {
    *out = table->partition;
    *entries = table->entries;
    table->partition = NULL;
  }
  plm_partition_destroy(table->partition);
  plm_source_close(table->source);
  free(table);
  return code;
}

static int compare_names(const struct plm_name_hash *a, const struct plm_name_hash *b) {
  if (a->high != b->high)
    return a->high < b->high ? -1 : 1;
  return a->low < b->low ? -1 : a->low > b->low;
}

static int compare_entries(const void *left, const void *right) {
  const struct plm_cluster_entry *a = left, *b = right;
  int names = compare_names(&a->name, &b->name);
  return names != 0 ? names : a->line < b->line ? -1 : a->line > b->line;
}

int plm_clusters_sort(struct plm_cluster_entry *entries, size_t count, const char *path, struct plm_error *err) {
  qsort(entries, count, sizeof *entries, compare_entries);
  for (size_t i = 1; i < count; i++)
    if (compare_names(&entries[i - 1].name, &entries[i].name) == 0 && entries[i - 1].cluster != entries[i].cluster)
      return plm_error_set(err, PLM_E_DAMAGED, "%s:%llu: this name has another cluster in line %llu", path,
                           (unsigned long long)entries[i].line, (unsigned long long)entries[i - 1].line);
  return 0;
}

static int compare_to_name(const void *key, const void *element) {
  return compare_names(key, &((const struct plm_cluster_entry *)element)->name);
}

const struct plm_cluster_entry *plm_clusters_find(const struct plm_cluster_entry *entries, size_t count,
                                                  struct plm_name_hash name) {
  return count == 0 ? NULL : bsearch(&name, entries, count, sizeof *entries, compare_to_name);
}
