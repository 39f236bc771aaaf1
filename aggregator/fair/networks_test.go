package fair

import "testing"

func TestAddressOf(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.7:80":            "192.0.2.7/32",
		"[::ffff:192.0.2.7]:80":   "192.0.2.7/32",
		"[2001:db8:1:2:3::4]:80":  "2001:db8:1::/56",
		"[fe80::1%eth0]:80":       "fe80::/56",
		"nonsense":                "invalid Prefix",
		"[2001:db8:1:2::4]:http":  "invalid Prefix",
		"@":                       "invalid Prefix",
		"[2001:db8:1:2:ffff::]:1": "2001:db8:1::/56",
	} {
		if got := AddressOf(remote).String(); got != want {
			t.Errorf("AddressOf(%q) = %s, want %s", remote, got, want)
		}
	}
}
