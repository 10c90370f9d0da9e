// SPDX-License-Identifier: MIT
// armddk: what the headers of mingw-w64 for drivers include in the place of their parts for one machine (they
// know x86, x64 and this name). For arm64, and only what our drivers use. Sources: Microsoft's documentation
// of wdm.h ("KeGetCurrentIrql", "KeRaiseIrql", "KeLowerIrql", "KeAcquireSpinLock", "KeIpiGenericCall",
// "Managing Hardware Priorities"); that the Kf functions are calls on arm64 is said in the issue 214 of
// Microsoft's usersim.
#pragma once

#define PASSIVE_LEVEL  0
#define LOW_LEVEL      0
#define APC_LEVEL      1
#define DISPATCH_LEVEL 2
#define HIGH_LEVEL     15

#define PAGE_SIZE  0x1000
#define PAGE_SHIFT 12L

NTKERNELAPI KIRQL NTAPI KeGetCurrentIrql(VOID);
NTKERNELAPI KIRQL NTAPI KfRaiseIrql(KIRQL level);
NTKERNELAPI VOID NTAPI KfLowerIrql(KIRQL level);
#define KeRaiseIrql(level, old) (*(old) = KfRaiseIrql(level))
#define KeLowerIrql(level)      KfLowerIrql(level)

#define InterlockedExchangePointer(target, value) __atomic_exchange_n(target, value, __ATOMIC_SEQ_CST)

NTKERNELAPI KIRQL NTAPI KeAcquireSpinLockRaiseToDpc(PKSPIN_LOCK lock);
NTKERNELAPI VOID NTAPI KeReleaseSpinLock(PKSPIN_LOCK lock, KIRQL level);
