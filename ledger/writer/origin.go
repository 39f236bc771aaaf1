package writer

// Origin returns the origin of the log whose key a file holds: the name under which the
// log was founded. The error wraps io/fs.ErrNotExist where no key is.
func Origin(path string) (string, error) {
	key, err := LoadKey(path)
	if err != nil {
		return "", err
	}
	return key.Name(), nil
}
