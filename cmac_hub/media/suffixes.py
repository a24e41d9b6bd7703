"""By which suffixes videos and sounds are found in a folder; a file that is named is taken whatever its suffix."""

VIDEOS = frozenset(
    ".3gp .asf .avi .flv .gif .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .mxf .ogv .ts .vob .webm .wmv".split()
)
SOUNDS = frozenset(".aac .aif .aiff .flac .m4a .mp3 .oga .ogg .opus .wav .wma".split())
