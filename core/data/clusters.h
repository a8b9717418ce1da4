/*
 * A cluster table: which cluster a sequence belongs to, by name. Two forms:
 *  - MMseqs2's _cluster.tsv: REPRESENTATIVE <tab> MEMBER, no header (column 0);
 *  - a table with a header line, the name in column 1 and the cluster in a chosen column (2 or more).
 * The key of a name is its text up to the first blank; of "sp|ACC|.." and "tr|ACC|.." it is ACC, as MMseqs2 writes it.
 */
#ifndef PLM_DATA_CLUSTERS_H
#define PLM_DATA_CLUSTERS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"
#include "data/spill.h"

struct plm_name_hash {
  uint64_t low, high;
};
/* XXH3-128 of the key of name (bytes long). */
struct plm_name_hash plm_clusters_key(const char *name, size_t bytes);

/* One line of the table, as it lies in the partitions (keyed by name.high). */
struct plm_cluster_entry {
  struct plm_name_hash name;
  uint64_t cluster; /* XXH3-64 of the cluster's name */
  uint64_t line;
};

/*
 * Reads the table (plain or compressed) into *out, partitions owned by the caller. column as above. entries: lines
 * read; sha256: of the file. PLM_E_DAMAGED with FILE:LINE for a line without the columns, or over 64 KiB.
 */
int plm_clusters_read(struct plm_partition **out, uint64_t *entries, char sha256[PLM_SHA256_TEXT], const char *path,
                      uint32_t column, const char *output, struct plm_error *err);

/* Sorts one loaded partition by name; two clusters for one name is PLM_E_DAMAGED. */
int plm_clusters_sort(struct plm_cluster_entry *entries, size_t count, const char *path, struct plm_error *err);

/* The entry of a name in a sorted partition, NULL when there is none. */
const struct plm_cluster_entry *plm_clusters_find(const struct plm_cluster_entry *entries, size_t count,
                                                  struct plm_name_hash name);

#endif
