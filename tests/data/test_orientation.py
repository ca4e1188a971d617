import pytest
from PIL import ExifTags, Image, ImageOps

from bench.data.preprocess import seen_size


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_that_is_seen_is_that_of_the_picture_turned_upright(tmp_path, orientation):
    """Of every orientation that the tag knows, four of which exchange width and height."""
    tag = Image.Exif()
    tag[ExifTags.Base.Orientation] = orientation
    Image.new("RGB", (7, 4)).save(tmp_path / "a.jpg", exif=tag)
    with Image.open(tmp_path / "a.jpg") as image:
        assert seen_size(image) == ImageOps.exif_transpose(image).size
