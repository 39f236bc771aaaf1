package store_test

import (
	"testing"

	"repronet.dev/internal/chdb/chdbtest"
)

func TestMain(m *testing.M) { chdbtest.Exit(m.Run()) }
