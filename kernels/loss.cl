/* The head's loss, its sum, and the record of a step. */

/*
 * Per row: loss = logsumexp(x) - x[target]; d = (softmax(x) - onehot(target)) * scale. d may be x. 33 columns: three
 * vectors on a CPU, 9 of 32 work-items on a GPU, and few rows: far from any bound.
 */
__kernel GROUP_OF_ROWS void softmax_loss(VIEW(const float, logits), VIEW(const int, targets), VIEW(const float, scale),
                                         VIEW(float, loss), VIEW(float, dlogits), const uint rows,
                                         const uint vocabulary, const uint gradient, FAULT) {
  SCRATCH;
  const uint row = min((uint)get_global_id(1), rows - 1), lane = get_local_id(0);
  const int given = AT(targets)[row], legal = given >= 0 && (uint)given < vocabulary;
  const uint target = legal ? (uint)given : 0;
  __global const float *x = AT(logits) + (ulong)row * vocabulary;
  const float chosen = x[target];
  FV most = -INFINITY, sum = 0.0f;
  FOR_VECTORS(vocabulary, most = MOST(load_some(x + i, n, -INFINITY), most);)
  const float top = row_most(max_lanes(most));
  FOR_VECTORS(vocabulary, sum += exp_of(load_some(x + i, n, -INFINITY) - top);)
  const float log_sum = log(row_total(sum_lanes(sum))), lse = top + log_sum;
#ifdef PLM_GPU
  barrier(CLK_GLOBAL_MEM_FENCE); /* all have read x, which d may be */
#endif
  if (get_global_id(1) >= rows)
    return;
  if (!legal) {
    if (lane == 0)
      REPORT(row, given, (int)vocabulary);
    return;
  }
  if (lane == 0)
    AT(loss)[row] = log_sum + (top - chosen);
  if (!gradient)
    return;
  const float factor = AT(scale)[0];
  __global float *d = AT(dlogits) + (ulong)row * vocabulary;
  FOR_VECTORS(vocabulary, {
    store_head(exp_of(load_some(x + i, n, -INFINITY) - lse) * factor, d + i, n);
    if (target - i < VW)
      d[target] = (exp_1(chosen - lse) - 1.0f) * factor;
  })
}

/* out (+)= sum of x[i]*weights[i], by one work-group: few numbers, and an order that depends on their count alone. */
__kernel GROUP_OF_CHUNKS void reduce_sum(VIEW(const float, x), VIEW(const float, weights), VIEW(float, out),
                                         const uint count, const uint weighted, const uint accumulate) {
  const uint item = get_local_id(0);
  FV sum = 0.0f;
  for (uint i = item * VW; i < count; i += GROUP_ITEMS * VW) {
    FV x = load_head(AT(x) + i, count - i);
    if (weighted)
      x *= load_head(AT(weights) + i, count - i);
    sum += x;
  }
  float total = sum_lanes(sum);
#ifdef PLM_GPU
  __local float sums[GROUP_ITEMS];
  sums[item] = total;
  barrier(CLK_LOCAL_MEM_FENCE);
  for (uint apart = GROUP_ITEMS / 2; apart > 0; apart /= 2) {
    if (item < apart)
      sums[item] += sums[item + apart];
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  total = sums[0];
#endif
  if (item == 0)
    AT(out)[0] = accumulate ? AT(out)[0] + total : total;
}

/* log[(index mod capacity), :] = x. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
record(VIEW(const float, x), VIEW(const int, index), VIEW(float, log), const uint count, const uint capacity, FAULT) {
  const int index = AT(index)[0];
  if (index < 0) {
    REPORT(0, index, 0x7fffffff);
    return;
  }
  __global float *to = AT(log) + (ulong)((uint)index % capacity) * count;
  for (uint j = 0; j < count; j++)
    to[j] = AT(x)[j];
}
