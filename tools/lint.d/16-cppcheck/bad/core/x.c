/* SPDX-License-Identifier: BSD-2-Clause */
int f(void)
{
	int a[2] = {1, 2};

	return a[2];
}
