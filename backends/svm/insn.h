/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Single instructions that the SVM backend needs. APM vol. 3, "System Instruction Reference" (4).
 */
#ifndef SVM_INSN_H
#define SVM_INSN_H

#include <undercroft/types.h>

/* Defined by the entry code on metal and by the fakes for hosted tests. */
void svm_insn_vmload(paddr_t vmcb);
void svm_insn_vmsave(paddr_t vmcb);
void svm_insn_stgi(void);
void svm_insn_clgi(void);

#endif
