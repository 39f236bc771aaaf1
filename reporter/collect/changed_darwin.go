package collect

import (
	"io/fs"
	"syscall"
	"time"
)

// changeTime is when the inode changed last.
func changeTime(info fs.FileInfo) time.Time {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(stat.Ctimespec.Unix())
	}
	return info.ModTime()
}
