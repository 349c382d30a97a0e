/* SPDX-License-Identifier: BSD-2-Clause */
/* what vmcb and svm are is not known here */
int f(int x) { return x == MSR_SVM_KEY; }
