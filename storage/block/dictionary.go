package block

// dictionary numbers the distinct values of a column in the order in which they
// come.
type dictionary struct {
	keys  []uint64
	slots []uint32 // index+1, 0 is free; a power of two
}

func (d *dictionary) reset() {
	d.keys = d.keys[:0]
	clear(d.slots)
}

func (d *dictionary) indexes(dst []int32, values []uint64) []int32 {
	for i, v := range values {
		if i > 0 && v == values[i-1] {
			dst = append(dst, dst[i-1])
			continue
		}
		dst = append(dst, int32(d.index(v)))
	}
	return dst
}

func (d *dictionary) index(v uint64) uint32 {
	if 2*len(d.keys) >= len(d.slots) {
		d.grow()
	}
	mask := uint64(len(d.slots) - 1)
	for i := v * 0x9e3779b97f4a7c15 >> 32 & mask; ; i = (i + 1) & mask {
		s := d.slots[i]
		if s == 0 {
			d.keys = append(d.keys, v)
			d.slots[i] = uint32(len(d.keys))
			return uint32(len(d.keys) - 1)
		}
		if d.keys[s-1] == v {
			return s - 1
		}
	}
}

func (d *dictionary) grow() {
	d.slots = make([]uint32, max(64, 2*len(d.slots)))
	mask := uint64(len(d.slots) - 1)
	for k, v := range d.keys {
		i := v * 0x9e3779b97f4a7c15 >> 32 & mask
		for d.slots[i] != 0 {
			i = (i + 1) & mask
		}
		d.slots[i] = uint32(k + 1)
	}
}
