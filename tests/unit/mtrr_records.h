/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory type range registers that were read on real machines, and what they mean. Data alone. */
#ifndef TESTS_UNIT_MTRR_RECORDS_H
#define TESTS_UNIT_MTRR_RECORDS_H

#include <undercroft/memory_type.h>

struct mtrr_record {
	const char *name;
	struct mtrr_set set;
	/* What Linux logged as "total RAM covered": all that is WB, and all of the first MiB. 0: it did not. */
	uint32_t covered_mib;
	/* One after the other from address 0; the last one ends with the physical address space. */
	struct {
		paddr_t end;
		enum mtrr_type type;
	} range[12];
};

extern const struct mtrr_record mtrr_records[];
extern const unsigned mtrr_record_count;

#endif
