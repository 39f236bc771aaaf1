package aggregator

import "testing"

// TestMemoryShares: what the engine and Go may use together leaves room in the smallest
// container that is documented, and does not grow without end on a large machine.
func TestMemoryShares(t *testing.T) {
	for _, test := range []struct {
		available uint64
		engine    int64
	}{
		{2 << 30, 966367641},
		{8 << 30, 3865470566},
		{64 << 30, maxEngineMemory},
	} {
		if got := engineMemory(test.available); got != test.engine {
			t.Errorf("of %d bytes the engine may use %d, want %d", test.available, got, test.engine)
		}
	}
	if engineShare+goShare > 0.8 {
		t.Errorf("the engine and Go may use %.2f of the memory: files need some too", engineShare+goShare)
	}
	if got := availableMemory(); got < 256<<20 {
		t.Errorf("%d bytes are available", got)
	}
}
