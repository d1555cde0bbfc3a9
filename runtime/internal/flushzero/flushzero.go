// Package flushzero makes the floating-point unit of one thread treat denormal numbers as zero for a while.
//
// Denormals cost a hundred cycles each on common processors, and training makes them in bulk: the momentum of a
// parameter without gradient decays towards zero and never gets there. ONNX Runtime can flush them in its own
// threads, but in the thread that calls it only if that thread happened to create the process's first session. Go
// moves goroutines between threads, so without this package the result of a run would depend on the scheduler.
package flushzero

/*
#include <stdint.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
// Bit 15 of MXCSR flushes denormal results, bit 6 reads denormal operands as zero.
static uint64_t plateau_flush_zero(void) {
	uint64_t old = _mm_getcsr();
	_mm_setcsr((unsigned int)old | 0x8040);
	return old;
}
static void plateau_restore(uint64_t old) { _mm_setcsr((unsigned int)old); }
#elif defined(__aarch64__)
// Bit 24 of FPCR does both.
static uint64_t plateau_flush_zero(void) {
	uint64_t old;
	__asm__ __volatile__("mrs %0, fpcr" : "=r"(old));
	__asm__ __volatile__("msr fpcr, %0" : : "r"(old | (1ull << 24)));
	return old;
}
static void plateau_restore(uint64_t old) { __asm__ __volatile__("msr fpcr, %0" : : "r"(old)); }
#else
static uint64_t plateau_flush_zero(void) { return 0; }
static void plateau_restore(uint64_t old) { (void)old; }
#endif
*/
import "C"

import "runtime"

// State is what Leave restores.
type State struct{ control C.uint64_t }

// Enter binds the calling goroutine to its thread and sets that thread to treat denormals as zero, until Leave is
// called with the state that it returns.
func Enter() State {
	runtime.LockOSThread()
	return State{C.plateau_flush_zero()}
}

// Keep binds the calling goroutine to its thread and remembers the thread's setting without changing it, so that
// Leave undoes what a call in between may do to it.
func Keep() State {
	runtime.LockOSThread()
	s := State{C.plateau_flush_zero()}
	C.plateau_restore(s.control)
	return s
}

// Leave restores the thread's setting and lets the goroutine move again.
func Leave(s State) {
	C.plateau_restore(s.control)
	runtime.UnlockOSThread()
}
