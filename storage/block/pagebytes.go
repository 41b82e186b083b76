package block

// Pages are bounded by bytes too.
//
// The problem: who asks for a trace reads the page of each column that it lies in, and each dictionary. Of 4,096 rows with texts of
// 10 kB, a page is 40 MB, for a trace of ten rows.
//
// The form: rows are handed to the columns some at a time, and weighed by what their texts add to pages and dictionaries. All
// columns end the page where that reaches maxPageBytes. A dictionary whose texts are long is given up like one of too many entries. Since a
// first page of few rows says little of how often values repeat, a dictionary is looked at again until pageRows rows are
// written. Where texts are short nothing of this happens, and pages have pageRows rows.
//
// Not chosen: row groups bounded by bytes. Each has a footer entry for each column, and dictionaries of its own for the short texts that
// all rows share.

const (
	// maxPageBytes is where a page ends, of what weigh counts in all columns together.
	maxPageBytes = 2 << 20
	// maxDictBytes is how long the texts of a dictionary may be together, past which later pages go without.
	maxDictBytes = 1 << 20
	// maxDictsBytes is the same of all dictionaries of a file.
	maxDictsBytes = 4 << 20
	// longDict is from how many bytes on the first page's dictionary has to save half of what the texts take.
	longDict = 256 << 10
	// longText is from how many bytes on a text is weighed that is, or may come to be, in a dictionary.
	longText = 512
	// fewKeys is how many entries a dictionary may always have.
	fewKeys = 64
	// maxBatch is how many rows are handed to the columns before they are weighed.
	maxBatch, firstBatch = 256, 16
)

// longest is the length of the longest string. Where none is long, texts in dictionaries need not be weighed.
func (v stringsView) longest() (n int) {
	for _, chunk := range v.refs {
		for i := range chunk {
			n = max(n, int(chunk[i].size))
		}
	}
	return n
}

func (v stringsView) size(id uint64) int { return int(v.refs[id/refRows][id%refRows].size) }

// weigh is what the values that came since the last time add to the page, or to the dictionary, in bytes. long says that
// there are long texts.
func (c *columnWriter) weigh(long bool) (n int) {
	switch {
	case c.kind == kindJSON:
		n, c.weighed = len(c.data)-c.weighed, len(c.data)
	case c.kind != kindText:
	case c.mode == modePlain:
		for _, v := range c.values[c.weighed:] {
			n += c.strings.size(v)
		}
		c.weighed = len(c.values)
	case long:
		for _, v := range c.values[c.weighed:] {
			if size := c.strings.size(v); size >= longText {
				if before := len(c.dict.keys); int(c.dict.index(v)) == before {
					n += size
				}
			}
		}
		c.weighed = len(c.values)
	}
	return n
}

// atMost is at least what weigh would say now, without a look at the values.
func (c *columnWriter) atMost(longest int) int {
	switch {
	case c.kind == kindJSON:
		return len(c.data) - c.weighed
	case c.kind == kindText && (c.mode == modePlain || longest >= longText):
		return (len(c.values) - c.weighed) * longest
	default:
		return 0
	}
}

// sizeDict is the bytes of the texts in the dictionary.
func (c *columnWriter) sizeDict() int {
	if c.kind == kindText {
		for _, k := range c.dict.keys[c.dictSized:] {
			c.dictBytes += c.strings.size(k)
		}
		c.dictSized = len(c.dict.keys)
	}
	return c.dictBytes
}

// longKeys says of the first page that its dictionary would be long and save little.
func (c *columnWriter) longKeys() bool {
	if c.sizeDict() <= longDict {
		return false
	}
	all := 0
	for _, v := range c.values {
		all += c.strings.size(v)
	}
	return 2*c.dictBytes > all
}

// leave has the pages after this one, of rows rows and n values, go without the dictionary if it no longer pays.
func (c *columnWriter) leave(rows, n int) {
	keys := len(c.dict.keys)
	if keys > maxDict {
		c.mode = modePlain
		return
	}
	seen := c.rowsTotal + int64(rows)
	values := c.rowsTotal - c.nulls + int64(n)
	// Pages of doubles look the same without a dictionary as a dictionary does, so that readers cannot tell that there are any.
	young := c.kind != kindEnum && c.kind != kindDouble && seen < pageRows
	if c.sizeDict() > maxDictBytes || young && keys > fewKeys && 2*int64(keys) > values {
		c.mode, c.leftEarly = modePlain, true
	}
}

// limitDicts has the column with the longest dictionary go without from the next page on, where all together are too long. Dictionaries
// that readers keep are left alone.
func (s *fileMaker) limitDicts() {
	all, longest := 0, s.order[0]
	for _, c := range s.order {
		all += c.dictBytes
		if c.mode == modeDict && c.dictBytes > longest.dictBytes {
			longest = c
		}
	}
	if all > maxDictsBytes && longest.dictBytes > maxKeptDict {
		longest.mode, longest.leftEarly = modePlain, true
	}
}

// fill hands the columns the rows of the page that begins with row from of the file, and says where it ends. Values are weighed only where a
// bound of what they weigh could end the page.
func (s *fileMaker) fill(from int) (to int) {
	weighed, weight := 0, 0
	for to = from; to < len(s.rows) && to-from < pageRows && weight < maxPageBytes; {
		end := min(to+s.batch, from+pageRows, len(s.rows))
		s.page(from, to, end)
		to = end
		weight = weighed
		for _, c := range s.order {
			weight += c.atMost(s.longest)
		}
		if weight >= maxPageBytes {
			for _, c := range s.order {
				weighed += c.weigh(s.longest >= longText)
			}
			weight = weighed
		}
		row := max(1, weight/(to-from))
		s.batch = max(1, min(maxBatch, (maxPageBytes-weight)/row))
	}
	// The next page's rows are taken to be like this one's.
	s.batch = max(1, min(maxBatch, maxPageBytes/max(1, weight/(to-from))))
	return to
}
