/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a program in the guest speaks to the power-loss plugin: by NOPs that do nothing anywhere else. Each stands in a
 * function of its own, so that QEMU has the arguments' registers up to date where it is executed.
 */
#ifndef POWERCUT_MARK_H
#define POWERCUT_MARK_H

#include <stdint.h>

/* nopl 0x7c51....(%rax,%rax,1) */
#define POWERCUT_NOP(operation) ".byte 0x0f, 0x1f, 0x84, 0x00, " #operation ", 0x00, 0x51, 0x7c"

/* Everything stored so far counts as durable; from now on stores, flushes and fences are recorded. */
__attribute__((noipa, unused)) static void powercut_arm(void)
{
	__asm__ volatile(POWERCUT_NOP(0x01) ::: "memory");
}

/* The record is complete. */
__attribute__((noipa, unused)) static void powercut_disarm(void)
{
	__asm__ volatile(POWERCUT_NOP(0x02) ::: "memory");
}

/* Puts two numbers into the record, in order with everything else. */
__attribute__((noipa, unused)) static void powercut_mark(uint64_t first, uint64_t second)
{
	__asm__ volatile(POWERCUT_NOP(0x03) : : "D"(first), "S"(second) : "memory");
}

/*
 * Has the record tell each time the instruction at an address is executed (such as a function of the kernel is entered),
 * and who called. To be said before arming.
 */
__attribute__((noipa, unused)) static void powercut_watch(uint64_t address)
{
	__asm__ volatile(POWERCUT_NOP(0x04) : : "D"(address) : "memory");
}

#endif
